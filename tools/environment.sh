#!/bin/sh
# Builds .venv from requirements.lock. Needs a Python of 3.11 or newer with venv, and a package index.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo >&2
    printf '%s\n' "$@" >&2
    exit 1
}

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
python=''
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
    if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c "$new_enough" 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    found=$(python3 --version 2>&1) || found='no python3 at all'
    fail "CareMesh needs Python 3.11 or newer; found: $found." \
        "Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python)," \
        "or name one that is not on the PATH: make run PYTHON=/path/to/python3.11"
fi
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "$("$python" --version) at $(command -v "$python") has no venv module." \
        "Install it (Debian, Ubuntu: apt install python3-venv), or name another Python: make run PYTHON=..."

packages=$(grep -c '^[a-zA-Z0-9].*==' requirements.lock)
echo "1/3  a new environment in .venv with $("$python" --version)"
rm -rf .venv
"$python" -m venv .venv
echo "2/3  $packages packages from requirements.lock, checked by hash; this takes a minute or two"
.venv/bin/python -m pip install --disable-pip-version-check --no-input --require-hashes -r requirements.lock |
    awk '/^(Collecting|Installing collected|ERROR)/ { printf "     %s\n", substr($0, 1, 100); fflush() }' &&
    .venv/bin/python -c 'import grpclib, quart, sqlalchemy' 2>/dev/null ||
    fail "The packages could not be installed; what went wrong stands above." \
        "Is a package index reachable (pip config list)? Then: make run"
echo "3/3  caremesh itself"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation --editable .
touch .venv/complete
