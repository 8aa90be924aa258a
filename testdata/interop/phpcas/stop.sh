#!/bin/bash
# Stops the page that start.sh started with the same environment.
set -euo pipefail
. "$(dirname "$0")/../common.sh"
settings phpcas 19380
stop
