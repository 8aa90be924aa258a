#!/bin/sh
# Builds Caddy with this plugin, shows it, tests it. Usage: ./xcaddy.sh -h
set -eu
# -W is Git's shell on Windows, where go must be told C:/…, not /c/….
here=$(cd "$(dirname "$0")" && { pwd -W 2>/dev/null || pwd; })
plugin=github.com/pronote-cas/caddy-pronote-cas
export GOWORK=off # somebody's workspace around the checkout would change the versions

usage() {
	cat <<'USAGE'
./xcaddy.sh build [OUTPUT]  build a Caddy with this plugin (default ./caddy, ./caddy.exe for Windows);
                            GOOS and GOARCH choose for which machine
                            construire un Caddy avec ce greffon ; GOOS et GOARCH choisissent la machine
./xcaddy.sh demo            build, then run the demonstration on https://localhost:8443
                            construire, puis lancer la démonstration
./xcaddy.sh test            run every test / lancer tous les tests
Needs / nécessite : Go, git.
USAGE
}

# fail ENGLISH FRENCH
fail() {
	printf '%s\n%s\n' "$1" "$2" >&2
	exit 1
}

need_tools() {
	wanted=$(sed -n 's/^go //p' "$here/go.mod")
	command -v git >/dev/null || fail \
		"git is missing: install it (https://git-scm.com/downloads)." \
		"git est absent : installez-le (https://git-scm.com/downloads)."
	command -v go >/dev/null || fail \
		"Go is missing: install Go $wanted or later (https://go.dev/dl/)." \
		"Go est absent : installez Go $wanted ou plus récent (https://go.dev/dl/)."
	# Asked inside the checkout, a Go that may fetch the version wanted has already done so.
	found=$(cd "$here" && go env GOVERSION 2>/dev/null) || found=$(cd / && go env GOVERSION)
	found=${found#go}
	found=${found%%[!0-9.]*}
	oldest=$(printf '%s\n%s\n' "$wanted" "$found" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)
	[ "$oldest" = "$wanted" ] || fail \
		"This Go is too old ($found): install Go $wanted or later (https://go.dev/dl/)." \
		"Ce Go est trop ancien ($found) : installez Go $wanted ou plus récent (https://go.dev/dl/)."
}

# build OUTPUT: what xcaddy does, a main module that names Caddy and the plugin, without needing xcaddy.
# Its versions and checksums are those of the module that tests the whole: what is built is what was tested.
build() {
	module=$(mktemp -d)
	trap 'rm -rf "$module"' EXIT
	trap 'exit 1' INT TERM
	cp "$here/testdata/e2e/go.mod" "$here/testdata/e2e/go.sum" "$module"
	cat >"$module/main.go" <<MAIN
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "$plugin/caddymodule"
)

func main() { caddycmd.Main() }
MAIN
	(
		cd "$module"
		go mod edit -module=caddy -replace="$plugin=$here"
		CGO_ENABLED=${CGO_ENABLED:-0} go build -trimpath -ldflags='-s -w' -o "$1" .
	)
}

run_tests() {
	race=-race
	if [ "$(go env CGO_ENABLED)" = 0 ]; then
		race=
		echo "No C compiler: the tests run without the race detector."
		echo "Pas de compilateur C : les tests tournent sans le détecteur d'accès concurrents."
	fi
	# vet with the same flag, or everything would be compiled twice. Verbose where tests need a browser
	# or servers, so that a skipped one says why.
	(cd "$here" && go vet $race ./... && go test $race ./...) &&
		(cd "$here/testdata/e2e" && go vet $race ./... && go test $race -v ./...)
}

case ${1:-} in
build)
	need_tools
	case $(go env GOOS) in windows) output=${2:-caddy.exe} ;; *) output=${2:-caddy} ;; esac
	case $output in /* | [A-Za-z]:*) ;; *) output=$PWD/$output ;; esac
	build "$output"
	echo "$output"
	;;
demo)
	need_tools
	binary=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/caddy-pronote-cas/caddy
	mkdir -p "$(dirname "$binary")"
	echo "Building Caddy with the plugin, a few minutes the first time…"
	echo "Construction de Caddy avec le greffon, quelques minutes la première fois…"
	GOOS='' GOARCH='' build "$binary"
	rm -rf "$module"
	exec "$binary" pronote-cas demo
	;;
test)
	need_tools
	run_tests
	;;
-h | --help | help) usage ;;
*)
	usage >&2
	exit 1
	;;
esac
