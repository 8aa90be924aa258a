#!/bin/bash
# Starts django-cas-server, from Debian's package, as a CAS server on loopback.
# What it can be told, and what it leaves behind: ../README.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
settings django-cas-server 19180
need_packages python3-django-cas-server curl

fresh_run
# Debian's interpreter by its full name: another one first in PATH does not see Debian's packages.
export INTEROP_RUN=$RUN INTEROP_CLIENTS=$CLIENTS PYTHONDONTWRITEBYTECODE=1
launch /usr/bin/python3 "$here/server.py" "127.0.0.1:$PORT"
wait_until_ready "http://localhost:$PORT/cas/login"
echo "django-cas-server $(version_of python3-django-cas-server): http://localhost:$PORT/cas"
