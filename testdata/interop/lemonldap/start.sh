#!/bin/bash
# Starts a private LemonLDAP::NG portal, from Debian's packages, as a CAS server on loopback.
# What it can be told, and what it leaves behind: ../README.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
settings lemonldap 19080
# The last four are only recommended by the portal, which does not start without them.
need_packages liblemonldap-ng-portal-perl starman curl \
	libgd-securityimage-perl libimage-magick-perl libxml-simple-perl libio-string-perl

fresh_run
mkdir -p "$RUN"/{conf,cache,sessions/lock,psessions/lock}

cat >"$RUN/lemonldap-ng.ini" <<INI
[all]
logger = Lemonldap::NG::Common::Logger::Std
userLogger = Lemonldap::NG::Common::Logger::Std
logLevel = notice
[configuration]
type = File
dirName = $RUN/conf
localStorage = Cache::FileCache
localStorageOptions = { namespace => 'configuration', default_expires_in => 600, cache_root => '$RUN/cache', cache_depth => 3 }
[portal]
staticPrefix = /static
templateDir = /usr/share/lemonldap-ng/portal/templates
languages = en, fr
INI
RUN=$RUN PORT=$PORT CLIENTS=$CLIENTS perl "$here/mkconf.pl" >"$RUN/conf/lmConf-1.json"

# Its logout messages are sent by LWP, which would obey the proxy variables that launch clears.
export LLNG_DEFAULTCONFFILE=$RUN/lemonldap-ng.ini LLNG_DEFAULTLOGGER=Lemonldap::NG::Common::Logger::Std
launch starman --listen "127.0.0.1:$PORT" --workers 3 --env deployment \
	/usr/share/lemonldap-ng/portal/htdocs/index.psgi
wait_until_ready "http://localhost:$PORT/cas/serviceValidate"
echo "LemonLDAP::NG $(version_of liblemonldap-ng-portal-perl): http://localhost:$PORT/cas"
