"""`python -m pacenote`."""

import sys

from pacenote.cli import main

if __name__ == "__main__":
    sys.exit(main())
