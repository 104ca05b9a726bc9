# shellcheck shell=bash
# The programs of the cluster, built from Go modules into the cache. Source it after lib.sh.
#
# tools/NAME/go.mod names a program and its version; a copy of everything that decides the result is
# hashed into the folder's name, so that programs of two checkouts live side by side.

kubernetes_version=$(sed -n 's/^.*k8s.io\/kubernetes \(v[0-9.]*\).*$/\1/p' \
  "$cluster_src/tools/kubernetes/go.mod" | head -n 1)
go_flags=(-trimpath -buildvcs=false)

# program NAME -> module folder, package, linker flags
program() {
  local minor=${kubernetes_version#v1.} prefix=-X=k8s.io/component-base/version
  case $1 in
  kube-* | kubelet | kubectl)
    echo kubernetes "k8s.io/kubernetes/cmd/$1" "-s -w $prefix.gitVersion=$kubernetes_version" \
      "$prefix.gitMajor=1 $prefix.gitMinor=${minor%%.*}"
    ;;
  etcd) echo etcd go.etcd.io/etcd/server/v3 -s -w ;;
  coredns) echo coredns github.com/coredns/coredns -s -w ;;
  helm) echo helm helm.sh/helm/v4/cmd/helm -s -w ;;
  esac
}

programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl
  etcd coredns helm)

bin_dir=$cache_dir/bin-$({
  cat "$cluster_src"/tools/*/go.{mod,sum}
  echo "${go_flags[@]}"
  declare -f program
} | sha256sum | cut -c1-16)

build_program() {
  local name=$1 module package flags
  read -r module package flags < <(program "$name")
  cd "$cluster_src/tools/$module"
  CGO_ENABLED=0 nice go build "${go_flags[@]}" -ldflags "$flags" -o "$bin_dir/$name.new" "$package"
  mv "$bin_dir/$name.new" "$bin_dir/$name"
}

build_binaries() {
  local name missing=()
  for name in "${programs[@]}"; do
    [[ -x $bin_dir/$name ]] || missing+=("$name")
  done
  ((${#missing[@]})) || return 0
  need_go
  mkdir -p "$bin_dir"
  for name in "${missing[@]}"; do
    step "Building $name from source" build_program "$name"
  done
}
