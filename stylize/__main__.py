"""``python -m stylize``: ``render`` is ``static-dynamic stylize``, ``train`` is ``learn``; other names are the same."""

import sys

from static_dynamic.main import main

NAMES = {"render": "stylize", "train": "learn"}
"""Name in versions without a single program → command."""

if __name__ == "__main__":
    sys.argv[1:2] = [NAMES.get(name, name) for name in sys.argv[1:2]]
    sys.exit(main())
