# shellcheck shell=bash
# Images into the cluster's containerd. Source it after lib.sh.

ctr() { command ctr --address "$containerd_socket" --namespace k8s.io "$@"; }

cluster_images=(localhost/pause:1 localhost/postgres:17 localhost/pgbouncer:1.26.1
  localhost/pgbouncer:1.24.1 localhost/test-runner:dev)

# load_image IMAGE: from our own buildah store, or from an archive (a .tar file).
load_image() {
  local image=$1 id stamp archive
  if [[ -f $image ]]; then
    step "Loading $image into the cluster" ctr images import "$image"
    return
  fi
  id=$("$root_dir/scripts/images.sh" id "$image")
  [[ -n $id ]] || die "there is no image $image in the project's own store" \
    "Make it with scripts/images.sh, or give a .tar file." \
    "The store: scripts/images.sh buildah images"
  stamp=$store_dir/loaded/$(tr '/:' '__' <<<"$image")
  [[ $(cat "$stamp" 2>/dev/null) != "$id" ]] || return 0
  step "Loading $image into the cluster" push_image "$image"
  mkdir -p "$store_dir/loaded"
  echo "$id" >"$stamp"
}

push_image() {
  local archive
  archive=$(mktemp -p "$run_dir" image.XXXXXX)
  rm "$archive"
  # Not compressed: it moves from one folder of this machine to another.
  "$root_dir/scripts/images.sh" buildah push --disable-compression --quiet "$1" \
    "docker-archive:$archive:$1"
  ctr images import "$archive"
  rm -f "$archive"
}

load_images() {
  local image
  for image in "${cluster_images[@]}"; do load_image "$image"; done
}
