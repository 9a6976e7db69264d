"""`python -m caremesh` is the `caremesh` command."""

import sys

from caremesh.main import main

if __name__ == "__main__":
    sys.exit(main())
