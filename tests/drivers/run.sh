#!/usr/bin/env bash
# What real drivers make of every connection string that is published: the programs of this folder
# read the same hostile ones, and judge.py compares. Part of ./x test unit.
#
#   tests/drivers/run.sh [--install]     only what dial.sh needs
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../scripts/lib.sh"
source "$root_dir/scripts/packages.sh"
source "$root_dir/scripts/build.sh"
cd "$root_dir"

here=$root_dir/tests/drivers
work=$root_dir/build/drivers
cases=$work/cases

# outdated LOCKFILE: whether what is installed was made from another one.
outdated() { ! cmp -s "$1" "$work/$(basename "$1")"; }
installed() { cp "$1" "$work/"; }

install_python() {
  /usr/bin/python3 -m venv --clear "$work/python"
  "$work/python/bin/pip" install --quiet --disable-pip-version-check --no-deps \
    -r "$here/python/requirements.txt"
}

install_node() {
  mkdir -p "$work/node"
  cp "$here"/node/package*.json "$here/node/.npmrc" "$work/node/"
  (cd "$work/node" && npm ci)
}

build_go() { (cd "$here/go" && go build -buildvcs=false -o "$work/go" .); }

install_drivers() {
  need_apt "${driver_packages[@]}"
  need_commands "${driver_commands[@]}"
  need_go
  mkdir -p "$work"
  if outdated "$here/python/requirements.txt"; then
    step "Installing Python's drivers" install_python
    installed "$here/python/requirements.txt"
  fi
  if outdated "$here/node/package-lock.json"; then
    step "Installing Node.js's drivers" install_node
    installed "$here/node/package-lock.json"
  fi
  step "Building Go's drivers" build_go
}

if [[ ${1:-} == --install ]]; then
  install_drivers
  exit
fi
configure dev
step "Building the cases" cmake --build --preset dev --target driver_cases
install_drivers
# A person's own defaults would be read, too.
unset "${!PG@}"
build/dev/bin/driver_cases >"$cases"
"$work/python/bin/python" -B "$here/python/read.py" <"$cases" >"$cases.python"
NODE_PATH=$work/node/node_modules node "$here/node/read.js" <"$cases" >"$cases.node"
"$work/go" <"$cases" >"$cases.go"
java -cp /usr/share/java/postgresql.jar "$here/java/Read.java" <"$cases" >"$cases.java"
cat "$cases" "$cases".* | /usr/bin/python3 -B "$here/judge.py"
