#!/usr/bin/env bash
# Proves the test cluster itself, on a second one beside the usual: pods, DNS, Services and probes
# work; up heals an up that was killed, at various moments; down leaves nothing behind. 2 minutes.
set -euo pipefail
export POOLER_CLUSTER=pooler-selftest
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
passed=0

x() { "$root_dir/x" cluster "$@"; }
kubectl() { x run -- kubectl -n selftest "$@"; }

check() {
  local title=$1
  shift
  "$@" || die "failed: $title"
  say "ok: $title"
  passed=$((passed + 1))
}

# descendants PID: of a script, without the daemons it started, which are to live on.
descendants() {
  local child
  for child in $(pgrep -P "$1"); do
    case $(ps -o comm= -p "$child") in
    etcd | containerd | kube* | coredns) ;;
    *) echo "$child" && descendants "$child" ;;
    esac
  done
}

up_killed_after() {
  local pid began
  x down &>/dev/null
  x up &>/dev/null &
  pid=$!
  # The moment is counted from when it begins to make the cluster, not from the checks before.
  until [[ -d $run_dir ]] || ! kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
  sleep "$1"
  # shellcheck disable=SC2046
  kill -KILL "$pid" $(descendants "$pid") 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  began=$(date +%s)
  x up &>/dev/null || return 1
  say "up again took $(elapsed "$began")"
  x run -- kubectl get node "$node" --no-headers | grep -qw Ready
}

workload() {
  kubectl create namespace selftest
  kubectl apply -f - <<END
apiVersion: v1
kind: Service
metadata: {name: pg}
spec: {selector: {app: pg}, ports: [{port: 5432}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pg}
spec:
  selector: {matchLabels: {app: pg}}
  template:
    metadata: {labels: {app: pg}}
    spec:
      containers:
        - name: pg
          image: localhost/postgres:17
          env: [{name: POSTGRES_PASSWORD, value: pw}]
          readinessProbe: {tcpSocket: {port: 5432}, periodSeconds: 1}
          startupProbe: {exec: {command: [pg_isready, -h, localhost]}, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 120}
          livenessProbe: {exec: {command: [pg_isready, -h, localhost]}, periodSeconds: 1, timeoutSeconds: 10}
---
apiVersion: v1
kind: Secret
metadata: {name: pgbouncer}
stringData:
  pgbouncer.ini: |
    [databases]
    * = host=pg.selftest.svc.cluster.local
    [pgbouncer]
    listen_addr = *
    auth_type = scram-sha-256
    auth_file = /etc/pgbouncer/userlist.txt
    pool_mode = transaction
    unix_socket_dir =
  userlist.txt: |
    "postgres" "pw"
---
apiVersion: v1
kind: Service
metadata: {name: pgbouncer}
spec: {selector: {app: pgbouncer}, ports: [{port: 6432}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pgbouncer}
spec:
  replicas: 2
  selector: {matchLabels: {app: pgbouncer}}
  template:
    metadata: {labels: {app: pgbouncer}}
    spec:
      securityContext: {runAsNonRoot: true}
      containers:
        - name: pgbouncer
          image: localhost/pgbouncer:1.26.1
          command: [pgbouncer, /etc/pgbouncer/pgbouncer.ini]
          lifecycle: {preStop: {sleep: {seconds: 2}}}
          securityContext: {readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
          volumeMounts: [{name: config, mountPath: /etc/pgbouncer}]
          readinessProbe: {tcpSocket: {port: 6432}, periodSeconds: 1}
      volumes: [{name: config, secret: {secretName: pgbouncer}}]
---
apiVersion: v1
kind: Pod
metadata: {name: runner}
spec: {containers: [{name: runner, image: "localhost/test-runner:dev"}]}
END
  kubectl wait --for=condition=Available deployment --all --timeout=180s
  kubectl wait --for=condition=Ready pod --all --timeout=60s
} >/dev/null

pooled() { kubectl exec runner -- psql postgresql://postgres:pw@pgbouncer.selftest:6432/postgres -Atc "$1"; }
# Through a Service, the server sees the pod's own address.
client_is_a_pooler() {
  local address
  address=$(pooled 'select client_addr from pg_stat_activity where pid = pg_backend_pid()')
  kubectl get pods -l app=pgbouncer -o 'jsonpath={.items[*].status.podIP}' | grep -qw "$address"
}
reaches_api() { kubectl exec runner -- curl -sk https://kubernetes.default.svc/version | grep -q gitVersion; }
no_way_out() { ! kubectl exec runner -- curl -s --max-time 3 http://192.0.2.1/ 2>/dev/null; }
outside_resolves() { x run -- psql postgresql://postgres:pw@pg.selftest.svc.cluster.local/postgres -Atc 'select 1' | grep -qx 1; }

# SIGINT by the image's STOPSIGNAL, after the preStop sleep: its last line says so.
stops_as_told() {
  local pod log
  pod=$(kubectl get pods -l app=pgbouncer -o name | head -n 1)
  log=$(mktemp)
  kubectl logs -f "$pod" >"$log" 2>&1 &
  kubectl delete "$pod" >/dev/null
  wait $!
  grep -q 'got SIGINT' "$log"
}

is_restarted_at_once() {
  local pod i
  pod=$(kubectl get pods -l app=pg -o name | head -n 1)
  for i in 1 2 3; do
    kubectl exec "$pod" -- sh -c 'kill -QUIT 1' || true
    kubectl wait --for=jsonpath='{.status.containerStatuses[0].restartCount}'="$i" "$pod" \
      --timeout=60s >/dev/null || return
    kubectl wait --for=condition=Ready "$pod" --timeout=60s >/dev/null || return
  done
}

writes_are_counted() { grep -c '"username":"kubernetes-admin".*"verb":"create"\|"verb":"create".*"username":"kubernetes-admin"' "$log_dir/audit.log" >/dev/null; }

# As after a reboot, or when whoever started the cluster was ended with all that it had started.
killed_is_down() {
  local file pid
  x up
  for file in "$run_dir"/*.pid; do
    read -r pid _ <"$file"
    kill -KILL "$pid"
  done
  # It has no cluster to load the image into, and does not mind.
  "$root_dir/scripts/images.sh" pause && x up && x run -- kubectl get node "$node" --no-headers | grep -qw Ready
}

leaves_nothing() {
  local traces
  x down
  traces=$({
    grep -F "$state_dir" /proc/self/mountinfo || true
    ls -d "/run/netns/$netns" "/etc/netns/$netns" "$run_dir" 2>/dev/null || true
    pgrep -af "$state_dir" || true
    find /var/lib/cni/results -name "$netns-*" 2>/dev/null || true
    find /var/log/containers -lname "$run_dir/*" 2>/dev/null || true
  })
  [[ -z $traces ]] || printf '%s\n' "$traces" >&2
  [[ -z $traces ]]
}

main() {
  local links rules
  ((EUID == 0)) || exec sudo -H env PATH="$PATH" "$0" "$@"
  trap 'x down &>/dev/null' EXIT
  links=$(ip -br link)
  rules=$(iptables-save 2>/dev/null | grep -v '^#' || true)
  check "up from nothing" x up
  check "up again, with nothing to do" x up
  check "Postgres, PgBouncer and a runner are ready" workload
  check "a pooled connection through two Services" client_is_a_pooler
  check "a pod reaches the API server" reaches_api
  check "a command of this machine in the cluster's network" outside_resolves
  check "there is no way out" no_way_out
  check "preStop and STOPSIGNAL" stops_as_told
  check "a container that dies is back at once" is_restarted_at_once
  check "writes are in the audit log" writes_are_counted
  check "down leaves nothing behind" leaves_nothing
  for moment in 0.1 0.5 1 2 3 4; do
    check "up killed $moment s after its begin is healed by up" up_killed_after "$moment"
  done
  check "all of it killed is a cluster that is down, and healed by up" killed_is_down
  check "and down leaves nothing behind" leaves_nothing
  check "this machine's links are as before" test "$links" == "$(ip -br link)"
  check "this machine's packet filter is as before" \
    test "$rules" == "$(iptables-save 2>/dev/null | grep -v '^#' || true)"
  trap - EXIT
  rm -rf --one-file-system "$state_dir"
  echo "$passed passed, 0 failed"
}

main "$@"
