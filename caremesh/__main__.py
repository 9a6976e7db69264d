"""`python -m caremesh` is the `caremesh` command."""

import sys

from caremesh.main import main

sys.exit(main())
