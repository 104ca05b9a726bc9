# shellcheck shell=bash disable=SC2034
# Names and places of the test cluster. Everything that runs lives in one network namespace and
# below one folder; what is only expensive to make lives in the cache. POOLER_CLUSTER names another
# cluster than the usual one; several can be up at once. Source it.

source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
source "$root_dir/scripts/packages.sh"

cluster_src=$root_dir/tests/cluster
netns=${POOLER_CLUSTER:-pooler-test}
state_dir=/var/lib/pooler-operator/$netns
run_dir=$state_dir/run         # of the running cluster; gone after down
store_dir=$state_dir/store     # containerd's images; they stay, so that the next up needs no import
log_dir=$state_dir/logs        # of the running cluster or the last one
images_dir=$cache_dir/images   # buildah's store
node=node0
node_ip=192.168.77.2
node_gateway=192.168.77.1      # nobody: the way out leads nowhere
pod_cidr=10.244.0.0/16
service_cidr=10.96.0.0/16
api_service_ip=10.96.0.1
containerd_socket=$run_dir/containerd.sock
kubeconfig=$run_dir/admin.kubeconfig

# exclusively LOCK-FILE CMD...: one at a time on this machine, whoever comes second waits. The lock is
# not handed down (9>&-), or else a daemon started under it would keep it.
exclusively() {
  local lock=$1
  shift
  mkdir -p "$(dirname "$lock")"
  exec 9>"$lock"
  if ! flock -n 9; then
    say "Waiting for another command (lock $lock)"
    flock 9
  fi
  "$@"
  exec 9>&-
}

need_cluster_tools() {
  need_commands "${cluster_commands[@]}"
  [[ -x /usr/lib/cni/ptp || -x /opt/cni/bin/ptp ]] || need_apt containernetworking-plugins
  need_apt libc6-dev ${network_backend:+"$network_backend"}
}
