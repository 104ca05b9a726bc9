#!/usr/bin/env bash
# The accept ring: the figures that an issue wants to be shown. Longer than the others, alone on the
# machine, on our own test cluster (its audit log is read).
#
#   tests/accept/run.sh [[--] ARGUMENT OF PYTEST...]
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../scripts/lib.sh"

image=localhost/pooler-operator
[[ ${1:-} != --context ]] || die "accept runs on our own test cluster only: it reads its audit log"
[[ ${1:-} != -- ]] || shift
buildah() { "$root_dir/scripts/images.sh" buildah "$@"; }

# The same operator under another digest: an image differs by one label.
make_other_image() {
  local container
  container=$(buildah from --pull-never "$image:dev")
  buildah config --label "org.opencontainers.image.version=other" "$container"
  buildah commit --quiet --rm "$container" "$image:other"
  rm -f "$root_dir/build/e2e/other.tar"
  buildah push --disable-compression --quiet "$image:other" \
    "docker-archive:$root_dir/build/e2e/other.tar:$image:other"
}

# Its images, cluster and operator are those of the e2e ring.
"$root_dir/tests/e2e/run.sh" --prepare
"$root_dir/tests/drivers/run.sh" --install
step "Making a second image of the operator" make_other_image
"$root_dir/x" cluster load-image "$root_dir/build/e2e/other.tar"
exec "$root_dir/x" cluster run -- env POOLER_OPERATOR_NAMESPACE=pooler-e2e \
  POOLER_OPERATOR_RELEASE=pooler-operator POOLER_CHART="$root_dir/charts/pooler-operator" \
  POOLER_OTHER_TAG=other POOLER_DIAL="$root_dir/tests/drivers/dial.sh" \
  PYTHONDONTWRITEBYTECODE=1 POOLER_ARTEFACTS="$root_dir/build/accept/failures" \
  /usr/bin/python3 -m pytest -c "$root_dir/tests/accept/pytest.ini" \
  --rootdir "$root_dir/tests/accept" -p no:cacheprovider "$@" "$root_dir/tests/accept"
