"""`python -m get3d` is the `get3d` command."""

import sys

from get3d.cli import main

if __name__ == "__main__":
    sys.exit(main())
