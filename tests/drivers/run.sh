#!/usr/bin/env bash
# What real drivers read from every form of connection that is published: hostile names, passwords
# and hosts, written by the operator's own code (driver_cases), taken apart by theirs.
#
#   tests/drivers/run.sh [PROGRAM]     driver_cases; by default the one of build/dev
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../scripts/lib.sh"
source "$root_dir/scripts/packages.sh"

here=$root_dir/tests/drivers
program=${1:-$root_dir/build/dev/bin/driver_cases}
work=$root_dir/build/drivers
need_apt "${driver_packages[@]}"
need_commands node=nodejs npm=npm javac=default-jdk-headless
need_go
mkdir -p "$work/node" "$work/java"

in_node() { # its packages, by the lockfile
  cp "$here"/node/{package.json,package-lock.json,.npmrc,read.js} "$work/node/"
  cmp -s "$here/node/package-lock.json" "$work/node/installed" && return
  (cd "$work/node" && npm ci) && cp "$here/node/package-lock.json" "$work/node/installed"
}
in_go() { (cd "$here/go" && go build -o "$work/read-go" .); }
in_java() { javac -cp "$jdbc" -d "$work/java" "$here/java/Read.java"; }
jdbc=/usr/share/java/postgresql.jar

step "Fetching node-postgres and postgres.js" in_node
step "Building with pgx and lib/pq" in_go
step "Building with pgjdbc" in_java
"$program" >"$work/cases"
/usr/bin/python3 -B "$here/python/read.py" <"$work/cases" >"$work/python.got"
(cd "$work/node" && node read.js) <"$work/cases" >"$work/node.got"
"$work/read-go" <"$work/cases" >"$work/go.got"
java -cp "$jdbc:$work/java" Read <"$work/cases" >"$work/java.got"
/usr/bin/python3 -B "$here/check.py" "$work/cases" "$work"/{python,node,go,java}.got
