"""``python -m training.syncmnist``: the same as ``static-dynamic syncmnist``."""

import sys

from static_dynamic.main import main

if __name__ == "__main__":
    sys.argv.insert(1, "syncmnist")
    sys.exit(main())
