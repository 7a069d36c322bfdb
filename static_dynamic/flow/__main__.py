"""``python -m static_dynamic.flow``: the same as ``static-dynamic flow``."""

import sys

from static_dynamic.main import main

if __name__ == "__main__":
    sys.argv.insert(1, "flow")
    sys.exit(main())
