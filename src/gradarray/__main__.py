"""The command `gradarray`."""

import sys

from .glass.command import main

if __name__ == "__main__":
    sys.exit(main())
