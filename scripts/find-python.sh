#!/usr/bin/env bash
# Prints a Python this project runs on: 3.11 or 3.12, able to create a virtual environment.
# An argument names the only candidate.
set -euo pipefail

usable='import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))'
if [ -n "${1-}" ]; then
  candidates=("$1")
else
  candidates=(python3.11 python3.12 python3 /usr/bin/python3.11 /usr/bin/python3.12)
fi

for candidate in "${candidates[@]}"; do
  # run it: a version manager's shim can be on PATH with nothing behind it
  if "$candidate" -c "$usable" >/dev/null 2>&1; then
    echo "$candidate"
    exit 0
  fi
done
echo "No usable Python: need 3.11 or 3.12 with its venv module, tried ${candidates[*]}." >&2
echo "On Debian: apt-get install python3 python3-venv. Elsewhere: make PYTHON=/path/to/python3.12 ..." >&2
exit 1
