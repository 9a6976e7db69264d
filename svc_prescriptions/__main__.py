"""`python -m svc_prescriptions` serves; `migrate`, `backup`, `restore` see to its database, `mail` to its letters."""

import sys

from hosting.service import main
from process.run import leave
from svc_prescriptions.wiring import hosted

if __name__ == "__main__":
    leave(main(hosted(), sys.argv[1:]))
