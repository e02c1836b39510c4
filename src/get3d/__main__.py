"""Run the `get3d` command with `python -m get3d`."""

import sys

from get3d.cli import main

if __name__ == "__main__":
    sys.exit(main())
