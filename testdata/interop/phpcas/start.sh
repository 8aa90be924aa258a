#!/bin/bash
# Starts a page that phpCAS protects, from Debian's packages, as a CAS client on loopback, where PRONOTE.net would be.
# INTEROP_CAS: base of the CAS server, https. INTEROP_CA: file with its certificate authority. INTEROP_PROTOCOL:
# cas2, cas3 or saml11 (saml11). The rest, and what it leaves behind: ../README.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
settings phpcas 19380
need_packages php-cas php-cli php-curl php-xml curl
: "${INTEROP_CAS:?base of the CAS server, with https}" "${INTEROP_CA:?file with its certificate authority}"

fresh_run
mkdir -p "$RUN/sessions"
export INTEROP_RUN=$RUN INTEROP_PORT=$PORT INTEROP_CAS INTEROP_CA INTEROP_PROTOCOL=${INTEROP_PROTOCOL:-saml11}
launch /usr/bin/php -d session.save_path="$RUN/sessions" -d display_errors=stderr -d error_reporting=8191 \
	-S "127.0.0.1:$PORT" "$here/page.php"
wait_until_ready "http://127.0.0.1:$PORT/ready"
echo "phpCAS $(version_of php-cas): http://127.0.0.1:$PORT/pronote/"
