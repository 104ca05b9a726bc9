#!/usr/bin/env bash
# Prepares what tests/e2e/test_tutorials.py runs: for each tutorial a project below build/tutorials,
# made of what its page has the reader write and of the application in this folder.
#
#   tests/tutorials/run.sh [NAME...]      by default all: prisma django rails spring go
#
# What a project depends on has one version and comes from its language's registry; Rails' part is
# Debian's Active Record. Nothing is made again that is made from the same files.
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../scripts/lib.sh"
source "$root_dir/scripts/packages.sh"

here=$root_dir/tests/tutorials
work=$root_dir/build/tutorials
all_tutorials=(prisma django rails spring go)

page() { echo "$root_dir/docs/tutorials/$1.md"; }

# inputs NAME: changes when the project has to be made again.
inputs() {
  { git -C "$here" ls-files -co --exclude-standard "$1" | LC_ALL=C sort | sed "s|^|$here/|" &&
    printf '%s\n' "$here/pages.py" "$here/run.sh" "$(page "$1")"; } | xargs sha256sum | sha256sum
}

# outdated LOCKFILE: whether what is installed was made from another one. In the project's folder.
outdated() { ! cmp -s "$1" "installed/$1"; }
installed() { mkdir -p installed && cp "$1" installed/; }

# lay_out NAME: only what was installed or compiled stays from another day.
lay_out() {
  local name=$1 dir=$work/$1
  mkdir -p "$dir"
  find "$dir" -mindepth 1 -maxdepth 1 ! -name installed ! -name node_modules ! -name venv \
    -exec rm -rf {} +
  (cd "$here/$name" && git ls-files -co --exclude-standard . | tar -cf - -T -) | tar -xf - -C "$dir"
  /usr/bin/python3 -B "$here/pages.py" "$(page "$name")" "$dir"
}

make_prisma() {
  if outdated package-lock.json; then
    npm ci
    installed package-lock.json
  fi
  # The client is made without a database, and without the schema engine, but before Prisma's CLI
  # looks at what it is asked for, it would download that: it is told of a program that is there.
  CHECKPOINT_DISABLE=1 PRISMA_SCHEMA_ENGINE_BINARY=/bin/true node_modules/.bin/prisma generate
}

make_django() {
  if outdated requirements.txt; then
    /usr/bin/python3 -m venv --clear venv
    venv/bin/pip install --quiet --disable-pip-version-check --no-deps -r requirements.txt
    installed requirements.txt
  fi
}

make_rails() { /usr/bin/ruby -c smoke.rb; }

make_spring() {
  mvn --batch-mode --quiet compile dependency:build-classpath -Dmdep.outputFile=target/classpath
  # The compilers' better half is not worth its time for so short a run.
  printf -- '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp target/classes:%s\n' \
    "$(cat target/classpath)" >target/java.args
}

make_go() { go build -buildvcs=false -o shop .; }

make_project() {
  lay_out "$1"
  cd "$work/$1"
  "make_$1"
}

# Prisma 7 asks for it.
need_node() {
  local version
  version=$(node -p 'const [a, b] = process.versions.node.split("."); 100 * a + 1 * b')
  ((version >= 2019)) || die "Node.js 20.19 or newer is missing; $(command -v node) is $(node -v)." \
    "Debian 13 has it: apt-get install nodejs npm. Otherwise unpack a release, and put it on PATH."
}

prepare() {
  local name=$1 now stamp=$work/$1.made
  now=$(inputs "$name")
  [[ $(cat "$stamp" 2>/dev/null) == "$now" ]] && return
  step "Preparing the tutorial $name" make_project "$name"
  echo "$now" >"$stamp"
}

main() {
  local name
  (($#)) || set -- "${all_tutorials[@]}"
  for name in "$@"; do
    [[ " ${all_tutorials[*]} " == *" $name "* ]] ||
      die "no such tutorial: $name" "There are: ${all_tutorials[*]}."
  done
  need_apt "${tutorial_packages[@]}"
  need_commands "${tutorial_commands[@]}"
  need_node
  need_go
  mkdir -p "$work"
  for name in "$@"; do prepare "$name"; done
}

main "$@"
