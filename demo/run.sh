#!/usr/bin/env bash
# ./x demo: from nothing to a pooled URL that works, shown step by step.
#
#   demo/run.sh                        on the test cluster of this machine
#   demo/run.sh --context NAME         on a cluster that you have (kind, minikube, any other)
#   demo/run.sh --context NAME --registry HOST/PATH
#                                      images are pushed there, for a cluster that pulls
#
# Everything is made in namespaces pooler-demo and pooler-system; running it again goes on from what
# is there.
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../scripts/lib.sh"
source "$root_dir/scripts/packages.sh"
source "$root_dir/scripts/build.sh"
source "$root_dir/demo/images.sh"

namespace=pooler-demo
operator_namespace=pooler-system
clients=500
context='' registry=''

while (($#)); do
  case $1 in
  --context) context=${2:?--context needs a name} && shift 2 ;;
  --registry) registry=${2:?--registry needs a place} && shift 2 ;;
  *) die "unknown argument: $1" "Usage: ./x demo [--context NAME [--registry HOST/PATH]]" ;;
  esac
done

# --- the cluster's tools ------------------------------------------------------------------------

if [[ -z $context ]]; then
  by_hand=("./x" cluster run -- kubectl)
  on_cluster() { "$root_dir/tests/cluster/cluster.sh" run -- "$@"; }
  kubectl() { on_cluster kubectl "$@"; }
  helm() { on_cluster helm "$@"; }
else
  by_hand=(kubectl --context "$context")
  kubectl() { command kubectl --context "$context" "$@"; }
  helm() { command helm --kube-context "$context" "$@"; }
fi
k() { kubectl --namespace "$namespace" "$@"; }

# --- how it speaks ------------------------------------------------------------------------------

chapter() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
note() { printf '%s%s%s\n' "$dim" "$*" "$plain"; }
# shown ARG...: a kubectl command with what it says.
shown() {
  printf '%s$%s kubectl %s\n' "$green" "$plain" "$*"
  k "$@"
}

# --- the steps ----------------------------------------------------------------------------------

own_cluster() {
  need_apt python3
  "$root_dir/x" cluster up
}

known_cluster() {
  local tool
  for tool in kubectl helm python3; do
    command -v "$tool" >/dev/null || die "$tool is missing; it is needed for --context"
  done
  kubectl get --raw /readyz >/dev/null ||
    die "the cluster of context $context does not answer" "kubectl config get-contexts lists yours."
}

random_password() { LC_ALL=C tr -dc 'a-f0-9' </dev/urandom | head -c 32 || true; }

# secret NAME KEY: kept if it is there, so that a second run fits to what the first has made. The
# value goes through standard input: arguments of a process can be read by others.
secret_from_stdin() {
  local value
  value=$(cat)
  k get secret "$1" >/dev/null 2>&1 && return
  printf '%s' "$value" | k create secret generic "$1" --from-file="$2=/dev/stdin"
}

postgres() {
  kubectl create namespace "$namespace" --dry-run=client -o yaml | kubectl apply -f -
  random_password | secret_from_stdin postgres-admin password
  sed "s|@POSTGRES_IMAGE@|$postgres_image|" "$root_dir/demo/postgres.yaml" | k apply -f -
  k rollout status deployment/postgres --timeout=5m
}

# A role that is no superuser, as an application's should be, and its URL in Secret orders-db.
application_role() {
  local password
  password=$(random_password)
  printf 'postgresql://shop:%s@postgres.%s.svc:5432/orders' "$password" "$namespace" |
    secret_from_stdin orders-db uri
  password=$(k get secret orders-db -o 'go-template={{.data.uri | base64decode}}' |
    sed -E 's|.*//shop:([^@]*)@.*|\1|')
  # shellcheck disable=SC2016
  k exec -i deploy/postgres -- sh -c \
    'PGPASSWORD=$POSTGRES_PASSWORD exec psql -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -U postgres' <<END
SELECT 'CREATE ROLE shop LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop') \gexec
ALTER ROLE shop PASSWORD '$password';
SELECT 'CREATE DATABASE orders OWNER shop'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'orders') \gexec
END
}

operator() {
  local labels=() crds=()
  # Where the CRD came with another installation, it stays that one's.
  if [[ -n $(kubectl get crd poolerconfigs.pooler.dev --ignore-not-found -o name) &&
    $(crd_release) != pooler-demo/$operator_namespace ]]; then
    crds=(--set crds.enabled=false)
  fi
  # The tag does not change with the image, so its id has to say that the pod is to be replaced.
  [[ -z $operator_id ]] || labels=(--set-string "podAnnotations.pooler\.dev/image-id=$operator_id")
  helm upgrade --install pooler-demo "$root_dir/charts/pooler-operator" \
    --namespace "$operator_namespace" --create-namespace --wait --timeout 5m \
    --set "watchNamespaces={$namespace}" \
    --set image.repository="${operator_image%:*}" --set-string image.tag="${operator_image##*:}" \
    --set pgbouncerImage.repository="${pgbouncer_image%:*}" \
    --set-string pgbouncerImage.tag="${pgbouncer_image##*:}" \
    --set logFormat=text "${crds[@]}" "${labels[@]}"
}
crd_release() {
  kubectl get crd poolerconfigs.pooler.dev -o 'go-template={{with .metadata.annotations}}'\
'{{index . "meta.helm.sh/release-name"}}/{{index . "meta.helm.sh/release-namespace"}}{{end}}'
}

pooler_config() {
  k apply -f - <"$root_dir/demo/poolerconfig.yaml"
  k wait --for=condition=Ready poolerconfig/orders --timeout=3m || {
    k describe poolerconfig orders
    return 1
  }
}

client_pod() {
  k delete pod clients --ignore-not-found --wait
  sed "s|@CLIENTS_IMAGE@|$clients_image|" "$root_dir/demo/clients.yaml" | k apply -f -
  k wait --for=condition=Ready pod/clients --timeout=3m
}

# measure URL_ENV HOLD FILE
measure() { k exec -i clients -- sh -s -- "$1" "$clients" "$2" <"$root_dir/demo/measure.sh" >"$3"; }
report() { python3 -B "$root_dir/demo/report.py" "$@"; }

# --- the story ----------------------------------------------------------------------------------

main() {
  local results budget
  results=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$results'" EXIT

  chapter "1  A Kubernetes cluster, a Postgres with max_connections 60, and the operator"
  if [[ -z $context ]]; then own_cluster; else known_cluster; fi
  provide_images
  step "Starting Postgres 17 in namespace $namespace" postgres
  step "Making an application's role and database" application_role
  step "Installing the operator with its chart in namespace $operator_namespace" operator

  chapter "2  One PoolerConfig"
  cat "$root_dir/demo/poolerconfig.yaml"
  step "Applying it, and waiting until it is Ready" pooler_config
  shown get poolerconfig orders
  shown get statefulset,pod,service,poddisruptionbudget -l pooler.dev/poolerconfig=orders
  budget=$(k get poolerconfig orders -o 'jsonpath={.status.effective.budget}')
  note "Its budget: at most $budget connections to the database, over all replicas, at any moment."
  note "(Derived from max_connections 60: reserved ones, and a fifth for direct use, stay free.)"

  chapter "3  The Secret that applications read (values masked)"
  k get secret orders-pooler -o json | report secret

  chapter "4  $clients clients"
  step "Starting an application's pod with that Secret (envFrom)" client_pod
  step "$clients clients connect by DATABASE_URL" measure DATABASE_URL 2 "$results/direct"
  report direct <"$results/direct" || die "a database with 60 connections refused nobody"
  step "$clients clients connect by DATABASE_POOLED_URL" \
    measure DATABASE_POOLED_URL 5 "$results/pooled"
  report pooled "$budget" <"$results/pooled" || die "the pooler did not serve all clients"

  go_on
}

go_on() {
  local kubectl="${by_hand[*]} -n $namespace"
  chapter "Done in $(elapsed). Go on by hand:"
  cat <<END
  k="$kubectl"
  \$k get poolerconfig orders -o yaml
  \$k scale poolerconfig orders --replicas=2      # pods are drained, no transaction is cut
  \$k exec -it clients -- sh -c 'psql "\$DATABASE_POOLED_URL"'
  \$k exec -it clients -- pooler-load transactions --init --clients 50 --duration 20
  ${by_hand[*]} -n $operator_namespace logs deploy/pooler-demo-pooler-operator
END
  chapter "Clean up:"
  if [[ -z $context ]]; then
    echo "  ./x cluster down"
  else
    cat <<END
  ${by_hand[*]} delete namespace $namespace
  helm --kube-context $context uninstall pooler-demo -n $operator_namespace
  ${by_hand[*]} delete crd poolerconfigs.pooler.dev    # kept by the chart; deletes all PoolerConfigs
END
  fi
}

main
