#!/bin/sh
# Builds the GraphiQL page from web/ into dist/, which the server embeds.
#
#   build.sh          install the pinned packages, build, replace dist/
#   build.sh --check  the same into a temporary folder; fail if dist/ is not what came out
#
# Needs Node, npm, gzip and sha256sum. No package's install script is run.
set -eu

cd "$(dirname "$0")"

case "${1-}" in
'' | --check) ;;
*)
	echo "usage: $0 [--check]" >&2
	exit 2
	;;
esac

# The sum of every file as the browser gets it. Not of the .gz: another build of gzip may
# pack the same bytes another way, and what is served is what counts.
sums() {
	(
		cd "$1"
		find . -type f ! -name SHA256SUMS | LC_ALL=C sort | while read -r file; do
			name=${file#./}
			case "$name" in
			*.gz) sum=$(gzip -dc "$file" | sha256sum) name=${name%.gz} ;;
			*) sum=$(sha256sum <"$file") ;;
			esac
			echo "${sum%% *}  $name"
		done
	)
}

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT

npm --prefix web ci --ignore-scripts --loglevel=error
(cd web && node_modules/.bin/vite build --outDir "$fresh" --emptyOutDir --logLevel warn)

# The licences stay readable; the rest is packed with neither name nor time in it.
find "$fresh" -type f ! -name THIRD_PARTY_LICENSES -exec gzip -9n {} +
sums "$fresh" >"$fresh/SHA256SUMS"

if [ "${1-}" = --check ]; then
	sums dist | diff -u dist/SHA256SUMS - || {
		echo "graphiql: dist/ is not what its SHA256SUMS says" >&2
		exit 1
	}
	diff -u dist/SHA256SUMS "$fresh/SHA256SUMS" || {
		echo "graphiql: dist/ is not what web/ builds to; run internal/graphiql/build.sh" >&2
		exit 1
	}
	echo "graphiql: dist/ is current"
	exit 0
fi

rm -rf dist
mkdir dist
cp -R "$fresh/." dist
echo "graphiql: built $(find dist -name '*.gz' | wc -l) files, $(du -sk dist | cut -f1) KiB"
