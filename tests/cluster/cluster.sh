#!/usr/bin/env bash
# A real Kubernetes of one node for tests: etcd, kube-apiserver, controller manager, scheduler,
# containerd, kubelet, kube-proxy and CoreDNS as plain processes in one network namespace that has
# no way out. Called by ./x cluster; README.md beside it tells how it works.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$cluster_src/binaries.sh"
source "$cluster_src/debian.sh"
source "$cluster_src/processes.sh"
source "$cluster_src/pki.sh"
source "$cluster_src/images.sh"

# In the order of starting; down ends them in the opposite order.
daemons=(etcd containerd kube-apiserver kube-controller-manager kube-scheduler coredns kube-proxy
  kubelet)

kubectl() { inside "$bin_dir/kubectl" --kubeconfig="$kubeconfig" "$@"; }

# --- parts of up ----------------------------------------------------------------------------

make_network() {
  local ip=(ip -n "$netns")
  [[ -e /run/netns/$netns ]] || ip netns add "$netns"
  "${ip[@]}" link set lo up
  if ! "${ip[@]}" link show "$node" &>/dev/null; then
    # A bridge with one port, since a bridge without any has no carrier and so no route. (A dummy
    # device would do alone, but not every kernel has it.)
    "${ip[@]}" link del node-wire &>/dev/null || true
    "${ip[@]}" link add node-wire type veth peer name node-wire-end
    "${ip[@]}" link add "$node" type bridge
  fi
  "${ip[@]}" link set node-wire master "$node" up
  "${ip[@]}" link set node-wire-end up
  "${ip[@]}" addr replace "$node_ip/24" dev "$node"
  "${ip[@]}" link set "$node" up
  "${ip[@]}" route replace default via "$node_gateway" dev "$node"
  inside sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
  # For `x cluster run`: ip netns exec shows these as /etc/resolv.conf.
  mkdir -p "/etc/netns/$netns"
  cat >"/etc/netns/$netns/resolv.conf" <<END
nameserver $node_ip
search default.svc.cluster.local svc.cluster.local cluster.local
options ndots:5
END
}

# render FILE >...: a file of config/ with this cluster's names for @name@.
render() {
  local text name
  text=$(cat "$cluster_src/config/$1")
  for name in netns run_dir store_dir containerd_socket cni_bin_dir snapshotter node node_ip pod_cidr; do
    text=${text//@$name@/${!name}}
  done
  printf '%s\n' "$text"
}

write_config() {
  local cni_bin_dir snapshotter=native
  for cni_bin_dir in /usr/lib/cni /opt/cni/bin; do
    [[ -x $cni_bin_dir/ptp ]] && break
  done
  [[ -x $cni_bin_dir/ptp ]] || die "the CNI plugins are missing: /usr/lib/cni/ptp" \
    "Debian has them in containernetworking-plugins."
  [[ $("$root_dir/scripts/images.sh" driver) == overlay ]] && snapshotter=overlayfs
  mkdir -p "$run_dir/cni"
  render cni.conflist >"$run_dir/cni/10-pods.conflist"
  render containerd.toml >"$run_dir/containerd.toml"
  render kubelet.yaml >"$run_dir/kubelet.yaml"
  render kube-proxy.yaml >"$run_dir/kube-proxy.yaml"
  render Corefile >"$run_dir/Corefile"
  cp "$cluster_src/config/audit.yaml" "$run_dir/audit.yaml"
  echo "nameserver $node_ip" >"$run_dir/node-resolv.conf"
  cat >"$run_dir/env" <<END
export KUBECONFIG=$kubeconfig
export POOLER_AUDIT_LOG=$log_dir/audit.log
export POOLER_CLUSTER_LOGS=$log_dir
export PATH=$bin_dir:\$PATH
END
}

start_storage() {
  run_daemon etcd "$bin_dir/etcd" --data-dir "$run_dir/etcd" --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync
  run_daemon containerd containerd --config "$run_dir/containerd.toml"
}

start_apiserver() {
  local pki=$run_dir/pki
  run_daemon kube-apiserver "$bin_dir/kube-apiserver" \
    --etcd-servers=http://127.0.0.1:2379 \
    --bind-address="$node_ip" --advertise-address="$node_ip" --secure-port=6443 \
    --service-cluster-ip-range="$service_cidr" --allow-privileged \
    --authorization-mode=Node,RBAC \
    --enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement \
    --client-ca-file="$pki/ca.crt" \
    --tls-cert-file="$pki/kube-apiserver.crt" --tls-private-key-file="$pki/kube-apiserver.key" \
    --kubelet-client-certificate="$pki/kubelet-client.crt" \
    --kubelet-client-key="$pki/kubelet-client.key" \
    --kubelet-certificate-authority="$pki/ca.crt" \
    --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$pki/service-account.pub" \
    --service-account-signing-key-file="$pki/service-account.key" \
    --requestheader-client-ca-file="$pki/front-proxy-ca.crt" \
    --requestheader-allowed-names=front-proxy-client \
    --requestheader-username-headers=X-Remote-User \
    --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$pki/front-proxy-client.crt" \
    --proxy-client-key-file="$pki/front-proxy-client.key" \
    --audit-policy-file="$run_dir/audit.yaml" --audit-log-path="$log_dir/audit.log" \
    --audit-log-maxsize=2000
}

start_controllers() {
  local pki=$run_dir/pki name
  for name in kube-controller-manager kube-scheduler; do
    local file=$run_dir/$name.kubeconfig extra=()
    if [[ $name == kube-controller-manager ]]; then
      extra=(--service-account-private-key-file="$pki/service-account.key"
        --root-ca-file="$pki/ca.crt" --use-service-account-credentials
        --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key")
    fi
    run_daemon "$name" "$bin_dir/$name" --kubeconfig="$file" --authentication-kubeconfig="$file" \
      --authorization-kubeconfig="$file" --leader-elect=false --bind-address=127.0.0.1 \
      --kube-api-qps=200 --kube-api-burst=400 ${extra[@]+"${extra[@]}"}
  done
}

start_node() {
  run_daemon coredns "$bin_dir/coredns" -conf "$run_dir/Corefile"
  run_daemon kube-proxy "$bin_dir/kube-proxy" --config="$run_dir/kube-proxy.yaml"
  run_daemon kubelet "$bin_dir/kubelet" --config="$run_dir/kubelet.yaml" \
    --kubeconfig="$run_dir/kubelet.kubeconfig" --root-dir="$run_dir/kubelet" \
    --cert-dir="$run_dir/kubelet/pki" --hostname-override="$node" --node-ip="$node_ip"
}

api_ready() { kubectl get --raw /readyz --request-timeout=2s; }
containerd_ready() { ctr version; }
node_ready() {
  kubectl get node "$node" --request-timeout=2s \
    -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' | grep -q True
}
dns_ready() { ip netns exec "$netns" getent hosts kubernetes.default.svc.cluster.local; }
proxy_ready() { inside curl -fsS http://127.0.0.1:10256/healthz; }
accounts_ready() { kubectl get serviceaccount default --request-timeout=2s; }
all_alive() {
  local name
  for name in "${daemons[@]}"; do [[ -n $(pid_of "$name") ]] || return; done
}

# await WHAT SECONDS CMD...: or an error that shows the ends of the logs of what does not live.
await() {
  local what=$1 seconds=$2 name
  shift 2
  wait_until "$seconds" "$@" && return
  for name in "${daemons[@]}"; do
    [[ -n $(pid_of "$name") || ! -s $log_dir/$name.log ]] ||
      { echo "--- $name has ended:" && tail -n 15 "$log_dir/$name.log"; } >&2
  done
  die "the test cluster's $what was not ready within $seconds s" "Its logs: $log_dir" \
    "To start anew: ./x cluster down && ./x cluster up"
}

# Containers of a cluster that ended without down (a reboot): containerd remembers them.
forget_old_containers() {
  local ids
  ids=$(ctr containers ls -q)
  [[ -n $ids ]] || return 0
  # shellcheck disable=SC2086
  ctr containers rm $ids >/dev/null
  end_daemon containerd
  start_storage
  await containerd 20 containerd_ready
}

bring_up() {
  make_network
  make_pki
  write_config
  start_storage
  start_apiserver
  await containerd 20 containerd_ready
  [[ -e $run_dir/began ]] || forget_old_containers
  date +%s >"$run_dir/began"
  load_images
  await "API server" 60 api_ready
  start_controllers
  start_node
  await "service accounts" 30 accounts_ready
  await node 60 node_ready
  await "cluster DNS" 30 dns_ready
  await kube-proxy 30 proxy_ready
}

is_up() { [[ -e $run_dir/began ]] && all_alive && api_ready && node_ready; } &>/dev/null

# The cluster of an earlier boot of this machine, or one made by other programs, is no cluster.
boot_id() { echo "$(cat /proc/sys/kernel/random/boot_id) $(basename "$bin_dir")"; }

up() {
  build_binaries
  "$root_dir/scripts/images.sh"
  if [[ -d $run_dir && $(cat "$run_dir/boot" 2>/dev/null) != "$(boot_id)" ]]; then
    step "Clearing away an older test cluster" take_down
  fi
  if is_up; then
    load_images
    return
  fi
  if [[ ! -d $run_dir ]]; then
    rm -rf "$log_dir"
    mkdir -p "$run_dir" "$log_dir"
    boot_id >"$run_dir/boot"
  fi
  step "Starting the test cluster" bring_up
}

# --- down -----------------------------------------------------------------------------------

take_down() {
  local name pid networks
  # Nothing of what these know is kept, so nothing needs an orderly end; but kubelet first, or it
  # would start again what is ended here.
  for name in kubelet kube-proxy coredns kube-scheduler kube-controller-manager kube-apiserver etcd; do
    kill_daemon "$name"
  done
  if [[ -n $(pid_of containerd) ]]; then
    for name in $(ctr tasks ls -q); do ctr tasks kill -s KILL "$name" || true; done
    wait_until 10 no_tasks || true
    for name in $(ctr containers ls -q); do
      ctr containers rm "$name" || true
      rm -f /var/lib/cni/results/*-"$name"-*
    done
    end_daemon containerd
  fi
  # Whatever still lives in one of our networks or holds one of our containers is ours.
  networks=("/run/netns/$netns")
  for name in "$run_dir"/containerd/*/netns/* "$run_dir"/containerd/netns/*; do
    [[ ! -e $name ]] || networks+=("$name")
  done
  for pid in $(processes_in_networks "${networks[@]}") $(shims); do
    kill -KILL "$pid" 2>/dev/null || true
  done
  wait_until 5 nobody_left "${networks[@]}" || true
  unmount_below "$run_dir"
  [[ ! -e /run/netns/$netns ]] || ip netns del "$netns"
  rm -rf --one-file-system "$run_dir" "/etc/netns/$netns"
  forget_traces
}

no_tasks() { [[ -z $(ctr tasks ls -q) ]]; }

nobody_left() { [[ -z $(processes_in_networks "$@") && -z $(shims) ]]; }

# What the parts keep in places that they do not let one choose.
forget_traces() {
  local link dir
  rm -f /var/lib/cni/results/"$netns"-*
  for link in /var/log/containers/*.log; do
    if [[ -L $link && $(readlink "$link") == "$run_dir"/* ]]; then rm -f "$link"; fi
  done
  # Another cluster of ours may be up.
  for dir in /var/lib/pooler-operator/*/run; do [[ ! -d $dir ]] || return 0; done
  # Empty folders only, outermost last: whoever else uses them keeps them.
  rm -f /var/lib/kubelet/device-plugins/kubelet.sock
  for dir in /var/lib/kubelet/device-plugins /var/lib/kubelet /var/log/containers /etc/netns \
    /var/lib/cni/results /var/lib/cni /sys/fs/cgroup/k8s.io /sys/fs/cgroup/*/k8s.io; do
    rmdir "$dir" 2>/dev/null || true
  done
}

down() {
  if [[ -d $run_dir || -e /run/netns/$netns ]]; then
    step "Taking the test cluster down" take_down
  fi
  if [[ ${1:-} == --purge ]]; then
    "$root_dir/scripts/images.sh" buildah rm --all >/dev/null 2>&1 || true
    unmount_below "$images_dir"
    unmount_below "$state_dir"
    rm -rf --one-file-system "$state_dir" "$cache_dir"
    echo "Removed $state_dir and $cache_dir."
  fi
}

# --- the rest -------------------------------------------------------------------------------

status() {
  local name pid
  if ! is_up; then
    echo "The test cluster is down. (./x cluster up)"
    for name in "${daemons[@]}"; do
      pid=$(pid_of "$name") && [[ -n $pid ]] && echo "  but $name runs, pid $pid"
    done
    return 1
  fi
  echo "The test cluster is up since $(date -d "@$(cat "$run_dir/began")" '+%F %T'): Kubernetes $kubernetes_version"
  echo "  network      namespace $netns, node $node at $node_ip, pods $pod_cidr, services $service_cidr"
  echo "  kubeconfig   $kubeconfig"
  echo "  audit log    $log_dir/audit.log"
  echo "  logs         $log_dir"
  echo "  environment  $run_dir/env"
  for name in "${daemons[@]}"; do printf '  %-24s pid %s\n' "$name" "$(pid_of "$name")"; done
  echo "  images       $(ctr images ls -q | grep -v '^sha256:' | sort | tr '\n' ' ')"
  kubectl get pods -A -o wide
}

run_inside() {
  is_running || die "the test cluster is down" "Bring it up with: ./x cluster up"
  (($#)) || set -- "${SHELL:-bash}"
  # What the cluster was started with, which need not be what this tree would start today.
  source "$run_dir/env"
  exec ip netns exec "$netns" "$@"
}

main() {
  local command=${1:-status}
  shift || true
  ((EUID == 0)) || exec sudo -H env PATH="$PATH" POOLER_STARTED="$POOLER_STARTED" \
    POOLER_CLUSTER="$netns" "$0" "$command" "$@"
  PATH=$PATH:/usr/sbin:/sbin
  case $command in
  up)
    need_cluster_tools
    exclusively "$state_dir/lock" up
    ;;
  down) exclusively "$state_dir/lock" down "$@" ;;
  status) status ;;
  kubeconfig)
    is_running || die "the test cluster is down" "Bring it up with: ./x cluster up"
    cat "$kubeconfig"
    ;;
  run)
    [[ ${1:-} == -- ]] && shift
    run_inside "$@"
    ;;
  load-image)
    is_running || die "the test cluster is down" "Bring it up with: ./x cluster up"
    exclusively "$state_dir/lock" load_image "${1:?which image?}"
    ;;
  *) die "no such command: cluster $command" "./x help lists the commands." ;;
  esac
}

main "$@"
