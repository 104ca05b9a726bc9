#!/usr/bin/env bash
# Builds examples/nextjs as its README says and makes an image of what a container needs.
#
#   build-example.sh image     prints the image's name; its tag says from which files it is made
#   build-example.sh FILE.tar  makes the image, as an archive
#
# The base is the test runner's image, which has Node.js: no image registry is needed.
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../scripts/lib.sh"

example=$root_dir/examples/nextjs
files() { git -C "$example" ls-files -co --exclude-standard .; }
inputs() { (cd "$example" && files | grep -v '\.md$' | LC_ALL=C sort | xargs sha256sum) | sha256sum | cut -c1-12; }
image=localhost/shop:$(inputs)
buildah() { "$root_dir/scripts/images.sh" buildah "$@"; }

if [[ $1 == image ]]; then
  echo "$image"
  exit
fi
out=$(realpath "$1")
[[ -s $out && $(cat "$out.image" 2>/dev/null) == "$image" ]] && exit
need_commands node=nodejs npm=npm
work=$(dirname "$out")/nextjs
mkdir -p "$work"
# Beside the tree, so that nobody's own build of it is touched; node_modules stay from build to build.
(cd "$example" && files | tar -cf - -T -) | tar -xf - -C "$work"
cd "$work"
npm ci --no-audit --no-fund
npm test
NEXT_TELEMETRY_DISABLED=1 npm run build
container=$(buildah from --pull-never localhost/test-runner:base)
buildah copy "$container" .next/standalone /app
buildah config --workingdir /app --cmd '["node", "server.js"]' --user 1000 \
  --env NODE_ENV=production --env PORT=3000 "$container"
buildah commit --quiet --rm "$container" "$image"
rm -f "$out"
buildah push --disable-compression --quiet "$image" "docker-archive:$out:$image"
echo "$image" >"$out.image"
