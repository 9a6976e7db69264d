"""`python -m svc_records` serves; `python -m svc_records migrate` brings the schema up to date."""

import sys

from hosting.service import main
from process.run import leave
from svc_records.wiring import hosted

if __name__ == "__main__":
    leave(main(hosted(), sys.argv[1:]))
