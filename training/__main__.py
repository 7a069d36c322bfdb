"""``python -m training train`` and ``evaluate``: the same as ``static-dynamic train`` and ``evaluate``."""

import sys

from static_dynamic.main import main

if __name__ == "__main__":
    sys.exit(main())
