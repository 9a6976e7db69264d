"""`python -m svc_prescriptions` serves; `python -m svc_prescriptions migrate` brings the schema up to date."""

import sys

from hosting.service import main
from process.run import leave
from svc_prescriptions.wiring import hosted

if __name__ == "__main__":
    leave(main(hosted(), sys.argv[1:]))
