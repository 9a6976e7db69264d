"""`python -m svc_prescriptions` serves; `migrate`, `backup FILE` and `restore FILE` see to its database."""

import sys

from hosting.service import main
from svc_prescriptions.wiring import hosted

if __name__ == "__main__":
    sys.exit(main(hosted(), sys.argv[1:]))
