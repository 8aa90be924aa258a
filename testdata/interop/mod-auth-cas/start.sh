#!/bin/bash
# Starts Apache with mod_auth_cas, from Debian's packages, as a CAS client on loopback, where PRONOTE.net would be.
# INTEROP_CAS: base of the CAS server, https. INTEROP_CA: file with its certificate authority. INTEROP_PROTOCOL:
# cas2 or saml11 (saml11). The rest, and what it leaves behind: ../README.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
settings mod-auth-cas 19280
need_packages libapache2-mod-auth-cas apache2-bin curl
: "${INTEROP_CAS:?base of the CAS server, with https}" "${INTEROP_CA:?file with its certificate authority}"
case ${INTEROP_PROTOCOL:-saml11} in
saml11) validation="CASValidateURL $INTEROP_CAS/samlValidate
CASValidateSAML On" ;;
cas2) validation="CASValidateURL $INTEROP_CAS/serviceValidate" ;;
*) echo "mod_auth_cas speaks saml11 and cas2, not $INTEROP_PROTOCOL" >&2 && exit 1 ;;
esac

fresh_run
mkdir -p "$RUN"/{htdocs,sessions}
cp "$INTEROP_CA" "$RUN/ca.pem"
cp "$here/whoami.sh" "$RUN/htdocs/whoami.sh"
chmod 700 "$RUN/htdocs/whoami.sh"
echo ready >"$RUN/htdocs/ready"
user=
if [ "$(id -u)" = 0 ]; then # Apache does not serve as root
	user="User www-data
Group www-data"
	chown -R www-data:www-data "$RUN"
fi
# Apache builds the service of its own name, never of what a client says: it is a private address, as PRONOTE's is.
cat >"$RUN/httpd.conf" <<CONF
ServerRoot $RUN
ServerName http://127.0.0.1:$PORT
UseCanonicalName On
PidFile $RUN/httpd.pid
ErrorLog $RUN/error.log
LogLevel auth_cas:debug
$user
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule cgi_module /usr/lib/apache2/modules/mod_cgi.so
LoadModule auth_cas_module /usr/lib/apache2/modules/mod_auth_cas.so
DocumentRoot $RUN/htdocs
StartServers 2
CASVersion 2
CASDebug On
CASLoginURL $INTEROP_CAS/login
$validation
CASCertificatePath $RUN/ca.pem
CASCookiePath $RUN/sessions/
CASSSOEnabled On
ScriptAlias /pronote/ $RUN/htdocs/whoami.sh/
<Location /pronote/>
	AuthType CAS
	CASAuthNHeader On
	CASScope /pronote/
	CASScrubRequestHeaders On
	Require valid-user
</Location>
<Location /ready>
	Require all granted
</Location>
CONF

launch /usr/sbin/apache2 -f "$RUN/httpd.conf" -C "Listen 127.0.0.1:$PORT" -D FOREGROUND
wait_until_ready "http://127.0.0.1:$PORT/ready"
echo "mod_auth_cas $(version_of libapache2-mod-auth-cas): http://127.0.0.1:$PORT/pronote/"
