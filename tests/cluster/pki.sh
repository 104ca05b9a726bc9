# shellcheck shell=bash
# Keys, certificates and kubeconfigs of the cluster, made anew with it. Source it after lib.sh.

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

# make_ca NAME
make_ca() {
  new_key "$1.key"
  openssl req -x509 -new -key "$1.key" -out "$1.crt" -subj "/CN=$1" -days 3650 \
    -addext keyUsage=critical,keyCertSign,cRLSign
}

# make_certificate CA NAME COMMON-NAME GROUP [SUBJECT-ALT-NAMES]
make_certificate() {
  local ca=$1 name=$2 subject="/CN=$3"
  [[ -z $4 ]] || subject="/O=$4/CN=$3"
  new_key "$name.key"
  openssl req -new -key "$name.key" -subj "$subject" |
    openssl x509 -req -CA "$ca.crt" -CAkey "$ca.key" -CAcreateserial -days 3650 -out "$name.crt" \
      -extfile <(
        echo "keyUsage=critical,digitalSignature"
        echo "extendedKeyUsage=clientAuth,serverAuth"
        [[ -z ${5:-} ]] || echo "subjectAltName=$5"
      )
}

# make_kubeconfig NAME FILE: for the certificate NAME, whole in one file, so that it can be copied.
make_kubeconfig() {
  cat >"$2" <<END
apiVersion: v1
kind: Config
current-context: pooler-test
contexts: [{name: pooler-test, context: {cluster: pooler-test, user: $1}}]
clusters:
  - name: pooler-test
    cluster:
      server: https://$node_ip:6443
      certificate-authority-data: $(base64 -w0 ca.crt)
users:
  - name: $1
    user:
      client-certificate-data: $(base64 -w0 "$1.crt")
      client-key-data: $(base64 -w0 "$1.key")
END
}

# Complete or not at all: a folder that was begun is begun again.
make_pki() {
  local pki=$run_dir/pki names name
  [[ ! -d $pki ]] || return 0
  rm -rf "$pki.new"
  (
    umask 077
    mkdir -p "$pki.new"
    cd "$pki.new"
    make_ca ca
    make_ca front-proxy-ca
    names=DNS:localhost,IP:127.0.0.1,IP:$node_ip,IP:$api_service_ip
    for name in kubernetes kubernetes.default kubernetes.default.svc \
      kubernetes.default.svc.cluster.local; do
      names+=,DNS:$name
    done
    make_certificate ca kube-apiserver kube-apiserver "" "$names"
    make_certificate ca kubelet-client kube-apiserver-kubelet-client system:masters
    make_certificate ca kubelet "system:node:$node" system:nodes "DNS:$node,IP:$node_ip"
    make_certificate ca kube-controller-manager system:kube-controller-manager ""
    make_certificate ca kube-scheduler system:kube-scheduler ""
    make_certificate ca kube-proxy system:kube-proxy ""
    make_certificate ca coredns coredns system:masters
    make_certificate ca admin kubernetes-admin system:masters
    make_certificate front-proxy-ca front-proxy-client front-proxy-client ""
    new_key service-account.key
    openssl ec -in service-account.key -pubout -out service-account.pub
    for name in admin kubelet kube-controller-manager kube-scheduler kube-proxy coredns; do
      make_kubeconfig "$name" "$run_dir/$name.kubeconfig"
    done
  )
  mv "$pki.new" "$pki"
}
