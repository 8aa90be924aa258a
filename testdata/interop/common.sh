# What the start and stop scripts of both servers share. Sourced by bash, never run.

# settings NAME PORT: reads the environment that README.md describes.
settings() {
	NAME=$1
	PORT=${INTEROP_PORT:-$2}
	CLIENTS=${INTEROP_CLIENTS:-http://127.0.0.1:18080}
	RUN=${INTEROP_RUN:-${TMPDIR:-/tmp}/interop-$NAME-$PORT}
}

# need_packages PACKAGE...: installs those that are missing if asked to, else ends with status 77,
# the usual one for "skipped", and a sentence that says what to do.
need_packages() {
	local p missing=()
	for p; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "${INTEROP_INSTALL:-}" != 1 ] || [ "$(id -u)" != 0 ]; then
		echo "$NAME needs Debian packages that are not installed (${missing[*]}): install them, or run this as root with INTEROP_INSTALL=1."
		exit 77
	fi
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

version_of() { dpkg-query -W -f '${Version}' "$1"; }

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; }

# fresh_run: an empty run folder, and nothing of an earlier start still alive.
fresh_run() {
	stop
	if listening; then
		echo "port $PORT is taken by another process" >&2
		exit 1
	fi
	umask 077 # it holds sessions
	mkdir -p "$RUN"
}

# launch COMMAND...: in the background, in a process group of its own, so that stop ends its workers too.
launch() {
	env -u http_proxy -u https_proxy -u all_proxy -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY \
		setsid "$@" >"$RUN/log" 2>&1 </dev/null &
	echo $! >"$RUN/pid"
	trap '[ $? = 0 ] || { tail -n 20 "$RUN/log" >&2; stop; }' EXIT
}

# wait_until_ready URL: at most 30 seconds or so.
wait_until_ready() {
	local i
	for ((i = 0; i < 150; i++)); do
		[ "$(curl -s --noproxy '*' -m 5 -o /dev/null -w '%{http_code}' "$1")" = 200 ] && return
		kill -0 "$(cat "$RUN/pid")" 2>/dev/null || break
		sleep 0.2
	done
	echo "$NAME did not start" >&2
	return 1
}

# stop: ends the process group that launch recorded and removes the run folder.
stop() {
	local pid i
	[ -s "$RUN/pid" ] || return 0
	pid=$(cat "$RUN/pid")
	# The number may have gone to another process since: only ours has our port among its arguments.
	if { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qw "127.0.0.1:$PORT"; then
		kill -TERM -- "-$pid"
		for ((i = 0; i < 50; i++)); do
			listening || break
			sleep 0.1
		done
		listening && kill -KILL -- "-$pid"
	fi
	rm -rf "$RUN"
}
