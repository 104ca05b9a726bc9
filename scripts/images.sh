#!/usr/bin/env bash
# The container images of the tests, made on this machine without any image registry.
#
#   scripts/images.sh                    makes what is missing of all images below but the operator
#   scripts/images.sh NAME...            makes these: base pause postgres pgbouncer runner operator
#   scripts/images.sh root IMAGE         prints a folder that holds IMAGE's files, for a chroot
#   scripts/images.sh id IMAGE           prints its id, or nothing
#   scripts/images.sh buildah ARG...     buildah on the store that holds the images
#
# Images made by name are loaded into the test cluster if it is up. An image is made again when what
# it is made from has changed, and then only the steps of its Dockerfile from the change on. `runner`
# holds our own programs (RUNNER_PROGRAMS, names in build/*/bin) in a last, thin layer.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../tests/cluster/lib.sh"
source "$cluster_src/debian.sh"
source "$cluster_src/processes.sh"

suites=(trixie forky)
stamps=$images_dir/stamps
pgbouncer_of_trixie=1.24.1
pgbouncer_of_forky=1.26.1

store() {
  TMPDIR=$images_dir/tmp buildah --root "$images_dir/store" --runroot /run/pooler-operator-images \
    --storage-driver "$(storage_driver)" "$@"
}

# A compiler in an image build leaves the machine usable.
nice_store() { (renice -n 10 $BASHPID >/dev/null; store "$@"); }

# Overlay is ten times as fast as vfs, but not possible in every place, so it is tried once.
storage_driver() {
  local file=$images_dir/driver probe=$images_dir/probe
  if [[ ! -s $file ]]; then
    mkdir -p "$probe"/{lower,upper,work,merged}
    if mount -t overlay overlay "$probe/merged" \
      -o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work" 2>/dev/null; then
      umount "$probe/merged"
      echo overlay >"$file"
    else
      echo vfs >"$file"
    fi
    rm -rf "$probe"
  fi
  cat "$file"
}

stamp_of() { echo "$stamps/$(tr '/:' '__' <<<"$1")"; }

# image_id IMAGE: the id of IMAGE as it was made; empty if it was not.
image_id() { sed -n 2p "$(stamp_of "$1")" 2>/dev/null || true; }

# make_image IMAGE INPUTS TITLE CMD...: runs CMD, which makes IMAGE, unless IMAGE was made from the
# same INPUTS (any text that changes when the image has to).
make_image() {
  local image=$1 title=$3 inputs stamp
  inputs=$(sha256sum <<<"$2" | cut -d' ' -f1)
  stamp=$(stamp_of "$image")
  shift 3
  up_to_date "$stamp" "$inputs" && return
  # One lock for each image: who wants a small one does not wait for a compiler.
  exclusively "$stamp.lock" make_stamped_image "$image" "$inputs" "$stamp" "$title" "$@"
}

up_to_date() { [[ $(sed -n 1p "$1" 2>/dev/null) == "$2" ]]; }

make_stamped_image() {
  local image=$1 inputs=$2 stamp=$3 title=$4
  shift 4
  # Somebody else may have made it while we waited.
  up_to_date "$stamp" "$inputs" && return
  step "$title" "$@"
  printf '%s\n%s\n' "$inputs" "$(store images -q --no-trunc "$image")" >"$stamp.new"
  mv "$stamp.new" "$stamp"
}

# bud SUITE ARG...: buildah bud with this machine's apt for as long as it takes.
bud() {
  local apt
  apt=$(write_build_apt "$1")
  shift
  BUILDAH_ISOLATION=chroot nice_store bud --pull-never --layers \
    --signature-policy "$images_dir/policy.json" \
    --volume "$apt/sources.list.d:/etc/apt/sources.list.d:ro" \
    --volume "$apt/machine.conf:/etc/apt/apt.conf.d/00-machine:ro" \
    --volume "$apt/keyrings:/etc/apt/keyrings:ro" "$@"
}

# --- the images -----------------------------------------------------------------------------

base_image() { echo "docker.io/library/debian:$1-slim"; }

make_base() {
  local suite=$1 root=$images_dir/root-$1 container
  make_root "$suite" "$root"
  container=$(store from scratch)
  store add "$container" "$root" /
  store config --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    "$container"
  store commit --quiet --rm --signature-policy "$images_dir/policy.json" "$container" \
    "$(base_image "$suite")"
  rm -rf --one-file-system "$root"
}

image_base() {
  local suite
  for suite in "${suites[@]}"; do
    # Anew each month: the packages in it grow old.
    make_image "$(base_image "$suite")" "$suite $(date +%Y-%m) $(declare -f make_root make_base)" \
      "Making the base image debian:$suite-slim" make_base "$suite"
  done
}

make_pause() {
  local dir=$images_dir/pause container
  mkdir -p "$dir"
  gcc -static -Os -s -o "$dir/pause" "$cluster_src/pause.c"
  container=$(store from scratch)
  store add "$container" "$dir/pause" /pause
  store config --entrypoint '["/pause"]' --user 65532 "$container"
  store commit --quiet --rm --signature-policy "$images_dir/policy.json" "$container" \
    localhost/pause:1
}

image_pause() {
  make_image localhost/pause:1 "$(cat "$cluster_src/pause.c")" "Making the pause image" make_pause
}

image_postgres() {
  local dir=$cluster_src/images
  make_image localhost/postgres:17 \
    "$(image_id "$(base_image trixie)") $(cat "$dir"/postgres*)" "Making the Postgres 17 image" \
    bud trixie -t localhost/postgres:17 -f "$dir/postgres.Dockerfile" "$dir"
}

# The text of one stage of the Dockerfile, so that another stage's change makes nothing anew.
dockerfile_stage() {
  awk -v name="$1" '/^FROM / { inside = ($NF == name) } inside' "$root_dir/Dockerfile"
}

make_pgbouncer() {
  local suite=$1 expected=$2 version
  bud "$suite" --target pgbouncer --build-arg "DEBIAN=$suite" \
    -t "localhost/pgbouncer:$suite" -f "$root_dir/Dockerfile" "$root_dir"
  version=$(package_version "localhost/pgbouncer:$suite" pgbouncer)
  store tag "localhost/pgbouncer:$suite" "localhost/pgbouncer:$version"
  if [[ $version != "$expected" ]]; then
    echo "$suite ships PgBouncer $version now, not $expected"
    store tag "localhost/pgbouncer:$suite" "localhost/pgbouncer:$expected"
  fi
}

# package_version IMAGE PACKAGE: its upstream version.
package_version() {
  local container
  container=$(store from --pull-never --signature-policy "$images_dir/policy.json" "$1")
  BUILDAH_ISOLATION=chroot store run "$container" -- dpkg-query -W -f '${Version}' "$2" |
    sed -E 's/^[0-9]+://; s/-[^-]*$//'
  store rm "$container" >/dev/null
}

image_pgbouncer() {
  local suite expected
  for suite in "${suites[@]}"; do
    expected=pgbouncer_of_$suite
    expected=${!expected}
    make_image "localhost/pgbouncer:$expected" \
      "$(image_id "$(base_image "$suite")") $(dockerfile_stage pgbouncer)" \
      "Making the PgBouncer $expected image ($suite)" make_pgbouncer "$suite" "$expected"
  done
}

# runner_programs: files to put into the test runner, as newest built.
runner_programs() {
  local name
  for name in ${RUNNER_PROGRAMS:-pooler-load}; do
    # shellcheck disable=SC2012
    ls -t "$root_dir"/build/{release,dev}/bin/"$name" 2>/dev/null | head -n 1
  done
}

make_runner() {
  local container
  container=$(store from --pull-never --signature-policy "$images_dir/policy.json" \
    localhost/test-runner:base)
  store add --chmod 755 "$container" "$@" /usr/local/bin/
  store commit --quiet --rm --signature-policy "$images_dir/policy.json" "$container" \
    localhost/test-runner:dev
}

image_runner() {
  local dir=$cluster_src/images programs
  make_image localhost/test-runner:base \
    "$(image_id "$(base_image trixie)") $(cat "$dir/runner.Dockerfile")" \
    "Making the test runner's base image" \
    bud trixie -t localhost/test-runner:base -f "$dir/runner.Dockerfile" "$dir"
  mapfile -t programs < <(runner_programs)
  if ((${#programs[@]} == 0)); then
    make_image localhost/test-runner:dev "$(image_id localhost/test-runner:base)" \
      "Making the test runner image (without our programs: none is built yet)" \
      store tag localhost/test-runner:base localhost/test-runner:dev
  else
    make_image localhost/test-runner:dev \
      "$(image_id localhost/test-runner:base) $(sha256sum "${programs[@]}")" \
      "Making the test runner image" make_runner "${programs[@]}"
  fi
}

operator_inputs() {
  cd "$root_dir"
  { find CMakeLists.txt CMakePresets.json cmake crds operator -type f 2>/dev/null || true; } |
    LC_ALL=C sort | xargs sha256sum
  cat Dockerfile .dockerignore
}

image_operator() {
  mkdir -p "$cache_dir/ccache"
  # The build stage's /ccache is a folder of this machine: the second build only compiles what has
  # changed since the first.
  make_image localhost/pooler-operator:dev \
    "$(image_id "$(base_image trixie)") $(operator_inputs)" "Making the operator image" \
    bud trixie --target operator --volume "$cache_dir/ccache:/ccache" \
    -t localhost/pooler-operator:dev -f "$root_dir/Dockerfile" "$root_dir"
}

# --- commands -------------------------------------------------------------------------------

# What a build that was killed left: its working containers. Only while nobody else builds, which
# the lock tells: each build holds a share of it.
heal() {
  exec 8>"$images_dir/lock"
  if flock -n 8 && [[ -n $(store containers -q 2>/dev/null) ]]; then
    store rm --all >/dev/null
    rm -rf "$images_dir"/tmp/*
  fi
  flock -s 8
}

make_images() {
  local name
  heal
  # Everything stands on base; pause stands on nothing and nobody waits for it.
  image_base
  for name in "$@"; do
    [[ $name == base ]] || "image_$name"
  done
}

# image_root IMAGE: unpacked once per version of the image.
image_root() {
  local image=$1 id dir container
  id=$(store images -q --no-trunc "$image")
  dir=$images_dir/roots/${id#sha256:}
  if [[ ! -d $dir ]]; then
    rm -rf "$dir.new"
    mkdir -p "$dir.new"
    container=$(store from --pull-never --signature-policy "$images_dir/policy.json" "$image")
    cp -a "$(store mount "$container")/." "$dir.new/"
    store rm "$container" >/dev/null
    mv "$dir.new" "$dir"
  fi
  echo "$dir"
}

# The images that stand behind a name of the command line, as the cluster knows them.
images_of() {
  case $1 in
  base) ;;
  pause) echo localhost/pause:1 ;;
  postgres) echo localhost/postgres:17 ;;
  pgbouncer) printf 'localhost/pgbouncer:%s\n' "$pgbouncer_of_trixie" "$pgbouncer_of_forky" ;;
  runner) echo localhost/test-runner:dev ;;
  operator) echo localhost/pooler-operator:dev ;;
  *) die "no such image: $1" "There are: base pause postgres pgbouncer runner operator." ;;
  esac
}

load_into_cluster() {
  local name image
  is_running || return 0
  for name in "$@"; do
    for image in $(images_of "$name"); do "$cluster_src/cluster.sh" load-image "$image"; done
  done
}

main() {
  local name
  ((EUID == 0)) || exec sudo -H env PATH="$PATH" POOLER_STARTED="$POOLER_STARTED" \
    POOLER_CLUSTER="$netns" RUNNER_PROGRAMS="${RUNNER_PROGRAMS:-}" "$0" "$@"
  PATH=$PATH:/usr/sbin:/sbin
  need_cluster_tools
  mkdir -p "$stamps" "$images_dir/tmp"
  echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$images_dir/policy.json"
  case ${1:-} in
  buildah) shift && store "$@" ;;
  driver) storage_driver ;;
  id) image_id "${2:?which image?}" ;;
  root) heal && exclusively "$images_dir/roots.lock" image_root "${2:?which image?}" ;;
  '') make_images pause postgres pgbouncer runner ;;
  *)
    for name in "$@"; do images_of "$name" >/dev/null; done
    make_images "$@"
    load_into_cluster "$@"
    ;;
  esac
}

main "$@"
