"""``python -m static_dynamic``: the same as ``static-dynamic``."""

import sys

from static_dynamic.main import main

if __name__ == "__main__":
    sys.exit(main())
