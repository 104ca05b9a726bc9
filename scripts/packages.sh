# shellcheck shell=bash disable=SC2034
# Debian packages by what they are for; the names hold on bookworm and trixie.

# To compile the operator and its tests.
build_packages=(
  g++ cmake ninja-build ccache pkg-config
  libcpprest-dev libyaml-cpp-dev libspdlog-dev libssl-dev libpq-dev libsimdjson-dev
  nlohmann-json3-dev prometheus-cpp-dev libmicrohttpd-dev libcli11-dev libgtest-dev libgmock-dev
)

# Where bookworm differs: its clang, and its buildah, which still starts without a network backend.
case $(. /etc/os-release && echo "${VERSION_CODENAME:-}") in
bookworm) clang=14 network_backend='' ;;
*) clang=19 network_backend=netavark ;;
esac

# For ./x lint.
lint_packages=("clang-format-$clang" "clang-tidy-$clang" shellcheck)
# For the sanitizers (at -O0 in half of g++'s time, and a second compiler's opinion) and libFuzzer.
clang_packages=("clang-$clang" "libclang-rt-$clang-dev")

# For black-box tests; the Python is Debian's own, /usr/bin/python3.
test_packages=(python3 python3-pytest python3-pytest-xdist python3-yaml python3-psycopg openssl)

# For tests/drivers. Java's driver is Debian's; the others have lockfiles beside the tests.
driver_packages=(python3 python3-venv libpostgresql-jdbc-java)
driver_commands=(node=nodejs npm=npm javac=default-jdk-headless)

# For tests/tutorials, which gets the rest from the registries of its languages.
tutorial_packages=(python3 python3-venv ruby-activerecord ruby-pg)
tutorial_commands=(node=nodejs npm=npm mvn=maven javac=default-jdk-headless)

# For the test cluster: command=package, since people get these tools from elsewhere too.
cluster_commands=(
  containerd=containerd runc=runc buildah=buildah debootstrap=debootstrap gcc=gcc openssl=openssl
  ip=iproute2 iptables=iptables conntrack=conntrack nsenter=util-linux flock=util-linux curl=curl
  pgrep=procps
)
