"""`python -m svc_records` serves; `python -m svc_records migrate` brings the schema up to date."""

import sys

from hosting.service import main
from svc_records.wiring import hosted

if __name__ == "__main__":
    sys.exit(main(hosted(), sys.argv[1:]))
