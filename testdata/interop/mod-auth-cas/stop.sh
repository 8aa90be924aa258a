#!/bin/bash
# Stops the Apache that start.sh started with the same environment.
set -euo pipefail
. "$(dirname "$0")/../common.sh"
settings mod-auth-cas 19280
stop
