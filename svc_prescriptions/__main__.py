"""`python -m svc_prescriptions` serves; `python -m svc_prescriptions migrate` brings the schema up to date."""

import sys

from hosting.service import main
from svc_prescriptions.wiring import hosted

if __name__ == "__main__":
    sys.exit(main(hosted(), sys.argv[1:]))
