#!/bin/bash
# Stops the server that start.sh started with the same environment.
set -euo pipefail
. "$(dirname "$0")/../common.sh"
settings django-cas-server 19180
stop
