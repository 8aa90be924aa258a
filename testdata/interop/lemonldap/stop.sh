#!/bin/bash
# Stops the portal that start.sh started with the same environment.
set -euo pipefail
. "$(dirname "$0")/../common.sh"
settings lemonldap 19080
stop
