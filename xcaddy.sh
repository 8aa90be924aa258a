#!/bin/sh
# Builds Caddy with this plugin, shows it, tests it, packs it. Usage: ./xcaddy.sh -h
set -eu
# -W is Git's shell on Windows, where go must be told C:/…, not /c/….
here=$(cd "$(dirname "$0")" && { pwd -W 2>/dev/null || pwd; })
plugin=github.com/pronote-cas/caddy-pronote-cas
nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.44.0 # makes the .deb
export GOWORK=off # somebody's workspace around the checkout would change the versions

usage() {
	cat <<'USAGE'
./xcaddy.sh build [OUTPUT]  build a Caddy with this plugin (default ./caddy, ./caddy.exe for Windows);
                            GOOS and GOARCH choose for which machine
                            construire un Caddy avec ce greffon ; GOOS et GOARCH choisissent la machine
./xcaddy.sh demo            build, then run the demonstration on https://localhost:8443
                            construire, puis lancer la démonstration
./xcaddy.sh test            run every test / lancer tous les tests
./xcaddy.sh package [FOLDER]
                            make a .deb for this machine (GOARCH=arm64 for another) and a .zip for Windows servers,
                            in FOLDER (default ./dist); GOOS=linux or GOOS=windows makes only one of them
                            faire un .deb pour cette machine (GOARCH=arm64 pour une autre) et un .zip pour les
                            serveurs Windows ; GOOS=linux ou GOOS=windows n'en fait qu'un
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

# package_version: the newest release that the change log names; what is not released yet sorts after it and before
# the next one, by date and commit. Needs no tags, so that any clone will do.
package_version() {
	heading=$(sed -n '/^## /{s/^## \[\{0,1\}//;p;q;}' "$here/CHANGELOG.md")
	released=$(sed -n 's/^## \[\{0,1\}\([0-9][^] ]*\).*/\1/p' "$here/CHANGELOG.md" | head -n 1 | tr - '~')
	case $heading in
	[0-9]*) echo "$released" ;;
	*)
		commit=$(TZ=UTC git -C "$here" show -s --date=format-local:%Y%m%d.%H%M%S --format=%cd.%h 2>/dev/null) || commit=
		echo "${released:-0.0.0}+git${commit:-}"
		;;
	esac
}

# package_deb VERSION FOLDER
package_deb() {
	arch=$(GOOS=linux go env GOARCH)
	case $arch in amd64 | arm64) ;; *) fail \
		"No .deb for $arch: GOARCH=amd64 or GOARCH=arm64." \
		"Pas de .deb pour $arch : GOARCH=amd64 ou GOARCH=arm64." ;;
	esac
	(
		export GOOS=linux GOARCH="$arch"
		build "$stage/caddy"
	)
	(
		cd "$here"
		export PACKAGE_STAGE="$stage" PACKAGE_VERSION="$1" PACKAGE_ARCH="$arch"
		GOOS='' GOARCH='' CGO_ENABLED=0 go run "$nfpm" package --config caddymodule/package/nfpm.yaml \
			--packager deb --target "$2/caddy-pronote-cas_$1_$arch.deb" >/dev/null
	)
	echo "$2/caddy-pronote-cas_$1_$arch.deb"
}

# package_windows VERSION FOLDER: git writes the .zip, for it is here anyway and a zip program may not be.
package_windows() {
	(
		export GOOS=windows GOARCH=amd64
		build "$stage/caddy.exe"
	)
	cp "$here/LICENSE" "$stage/LICENSE.txt"
	(
		cd "$stage"
		git init -q .
		git archive --format=zip --output="$2/caddy-pronote-cas_$1_windows_amd64.zip" --prefix=caddy-pronote-cas/ \
			--add-file=caddy.exe --add-file=LICENSE.txt --add-file="$here/Caddyfile.example" \
			--add-file="$here/caddymodule/package/windows/Caddyfile" \
			--add-file="$here/caddymodule/package/windows/install-service.ps1" \
			--add-file="$here/caddymodule/package/windows/LISEZMOI.txt" \
			--add-file="$here/caddymodule/package/windows/README.txt" \
			"$(git mktree </dev/null)"
	)
	echo "$2/caddy-pronote-cas_$1_windows_amd64.zip"
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
package)
	need_tools
	mkdir -p "${2:-dist}"
	output=$(cd "${2:-dist}" && pwd)
	version=$(package_version)
	stage=$(mktemp -d)
	trap 'rm -rf "$stage"' EXIT
	trap 'exit 1' INT TERM
	case ${GOOS:-both} in
	both)
		package_deb "$version" "$output"
		package_windows "$version" "$output"
		;;
	linux) package_deb "$version" "$output" ;;
	windows) package_windows "$version" "$output" ;;
	*) fail "GOOS=linux makes the .deb, GOOS=windows the .zip." "GOOS=linux fait le .deb, GOOS=windows le .zip." ;;
	esac
	;;
-h | --help | help) usage ;;
*)
	usage >&2
	exit 1
	;;
esac
