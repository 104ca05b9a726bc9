#!/usr/bin/env bash
# Builds examples/nextjs as its README says and packs what a container needs.
#   build-example.sh FILE.tar
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../scripts/lib.sh"

out=$1
example=$root_dir/examples/nextjs
work=$(dirname "$out")/nextjs
# Built beside the tree, and only when something of it has changed.
inputs=$(cd "$example" && git ls-files -co --exclude-standard . | LC_ALL=C sort | xargs sha256sum | sha256sum)
[[ -s $out && $(cat "$out.inputs" 2>/dev/null) == "$inputs" ]] && exit 0
need_commands node=nodejs npm=npm
mkdir -p "$work"
(cd "$example" && git ls-files -co --exclude-standard . | tar -cf - -T -) | tar -xf - -C "$work"
cd "$work"
npm ci --no-audit --no-fund
npm test
NEXT_TELEMETRY_DISABLED=1 npm run build
[[ ! -d .next/static ]] || cp -r .next/static .next/standalone/.next/
tar -cf "$out" -C .next/standalone . -C "$work" migrations scripts lib
echo "$inputs" >"$out.inputs"
