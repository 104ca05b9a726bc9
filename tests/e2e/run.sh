#!/usr/bin/env bash
# The e2e ring: the whole product on a real cluster, from outside. Called by ./x test e2e.
#
#   tests/e2e/run.sh [--context NAME] [[--] ARGUMENT OF PYTEST...]       for example -k lossless
#   tests/e2e/run.sh [--context NAME] --prepare      everything but the tests
#
# Without --context: our own test cluster, brought up if it is down, with images made from this tree.
# With --context: a cluster of yours (kind, minikube), whose nodes get the images by its own tool; all
# tests but the tutorials.
# Tests that take the operator away run alone at the end; all others share the cluster, WORKERS
# (POOLER_E2E_WORKERS, default 4) at a time: they mostly wait.
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../scripts/lib.sh"
source "$root_dir/scripts/packages.sh"
source "$root_dir/scripts/build.sh"

here=$root_dir/tests/e2e
namespace=pooler-e2e
release=pooler-operator
shop=$root_dir/build/e2e/shop.tar
context=
arguments=()
prepare_only=
while (($#)); do
  case $1 in
  --context) context=${2:?--context needs a name} && shift ;;
  --context=*) context=${1#*=} ;;
  --prepare) prepare_only=yes ;;
  --) ;;
  *) arguments+=("$1") ;;
  esac
  shift
done

# The tutorials' projects run on this machine, so another cluster's Services are out of their reach.
tutorials=$root_dir/build/tutorials left_out=()
[[ -z $context ]] || tutorials='' left_out=(--ignore "$here/test_tutorials.py")

images=(localhost/postgres:17 localhost/pgbouncer:1.24.1 localhost/pgbouncer:1.26.1
  localhost/test-runner:dev localhost/pooler-operator:dev)

# inside CMD...: where the cluster can be reached.
inside() {
  if [[ -n $context ]]; then "$@"; else "$root_dir/x" cluster run -- "$@"; fi
}
helm_() { inside helm ${context:+--kube-context "$context"} "$@"; }

# The nodes of somebody's own cluster get the images by the tool that made the cluster.
load_images_elsewhere() {
  local image dir
  dir=$(mktemp -d)
  for image in "${images[@]}"; do
    "$root_dir/scripts/images.sh" buildah push --quiet "$image" "docker-archive:$dir/image.tar:$image"
    load_archive_elsewhere "$dir/image.tar"
    rm "$dir/image.tar"
  done
  rmdir "$dir"
  load_archive_elsewhere "$shop"
}

load_archive_elsewhere() {
  case $context in
  kind-*) kind load image-archive "$1" --name "${context#kind-}" ;;
  minikube*) minikube image load "$1" -p "$context" ;;
  *) echo "not loaded, since $context is neither kind's nor minikube's: $1" ;;
  esac
}

# Two operators would both work on every PoolerConfig.
no_other_operator() {
  local others
  others=$(inside kubectl ${context:+--context "$context"} get deployments --all-namespaces \
    -l app.kubernetes.io/name=pooler-operator --no-headers \
    -o custom-columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name | grep -v "^$namespace " || true)
  [[ -z $others ]] || die "another operator runs in this cluster: $others" \
    "Uninstall it first (what ./x demo left: it says how at its end), or ./x cluster down."
}

install_operator() {
  # The tag stays the same from build to build, so the image's id is what makes the pod a new one.
  helm_ upgrade --install "$release" "$root_dir/charts/pooler-operator" --namespace "$namespace" \
    --create-namespace --wait --timeout 3m \
    --set image.repository=localhost/pooler-operator,image.tag=dev \
    --set pgbouncerImage.repository=localhost/pgbouncer \
    --set "supabase.apiUrl=http://management-api.$namespace.svc:8080" \
    --set-string "podAnnotations.image-id=$("$root_dir/scripts/images.sh" id localhost/pooler-operator:dev)"
}

run_pytest() {
  inside env POOLER_CONTEXT="$context" POOLER_OPERATOR_NAMESPACE="$namespace" \
    POOLER_OPERATOR_RELEASE="$release" POOLER_CHART="$root_dir/charts/pooler-operator" \
    POOLER_EXAMPLE_IMAGE="$("$here/build-example.sh" image)" POOLER_ARTEFACTS="$root_dir/build/e2e/failures" \
    POOLER_TUTORIALS="$tutorials" \
    PYTHONDONTWRITEBYTECODE=1 \
    /usr/bin/python3 -m pytest -c "$here/pytest.ini" --rootdir "$here" -p no:cacheprovider \
    "${left_out[@]}" "${arguments[@]}" "$@" "$here"
}

passed=0 failed=0 broken=
counted() { grep -aE '^=+ .* in [0-9.]+s' "$1" | tail -n 1 | grep -oE "[0-9]+ $2" | cut -d' ' -f1 || true; }

# half ARGUMENT...: one run of pytest. Its 5 says that -k left none of these: no failure if the other
# half had some.
half() {
  local status=0 log=$root_dir/build/e2e/pytest.log
  run_pytest "$@" 2>&1 | tee "$log" || status=$?
  passed=$((passed + 10#0$(counted "$log" passed)))
  failed=$((failed + 10#0$(counted "$log" failed) + 10#0$(counted "$log" error)))
  ((status == 0 || status == 5)) || broken=yes
}

# What the fault ring's FakeApiServer is held to, on the real one.
contract() {
  local status=0 log=$root_dir/build/e2e/contract.log
  inside env POOLER_CONTEXT="$context" "$root_dir/build/dev/bin/contract_api" --gtest_brief=1 2>&1 |
    tee "$log" || status=$?
  passed=$((passed + 10#0$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log")))
  failed=$((failed + $(grep -cE '^\[  FAILED  \] .*\(' "$log" || true)))
  ((status == 0)) || broken=yes
}

main() {
  need_apt "${test_packages[@]}"
  mkdir -p "$root_dir/build/e2e"
  configure dev
  step "Building the load tool and the API contract" \
    cmake --build --preset dev --target pooler-load contract_api
  [[ -n $context ]] || "$root_dir/x" cluster up
  "$root_dir/scripts/images.sh" postgres pgbouncer runner operator
  step "Building the Next.js example" "$here/build-example.sh" "$shop"
  [[ -n $context ]] || "$root_dir/tests/tutorials/run.sh"
  if [[ -n $context ]]; then
    step "Loading the images into $context" load_images_elsewhere
  elif ! inside kubectl get nodes -o jsonpath='{.items[*].status.images[*].names}' |
    grep -qF "$("$here/build-example.sh" image)"; then
    "$root_dir/x" cluster load-image "$shop"
  fi
  no_other_operator
  step "Installing the operator by its chart" install_operator
  [[ -z $prepare_only ]] || return 0
  rm -rf "$root_dir/build/e2e/failures"
  ((${#arguments[@]})) || contract # an argument chooses among the tests of pytest
  half -m "not operator" -n "${POOLER_E2E_WORKERS:-4}"
  half -m operator
  [[ -z $context ]] || echo "Not run: the tutorials, which need our own test cluster"
  ((passed + failed)) || die "no test ran" "-k EXPR names none: tests/e2e/run.sh --collect-only -q lists them."
  echo "$passed passed, $failed failed"
  [[ -z $broken ]] || die "e2e: tests failed" "What the cluster looked like then: $root_dir/build/e2e/failures"
}

main
