#!/usr/bin/env bash
# The pooler ring: the operator's code against real PgBouncer and Postgres processes on loopback,
# run from the images of the tests. Needs root.
#
#   tests/pooler/run.sh [CTEST ARGUMENT...]
#
# POOLER_BUILD: the build folder to test, by default build/dev.
# POOLER_ROOT_POSTGRES, POOLER_ROOT_TRIXIE and
# POOLER_ROOT_FORKY: folders with Postgres 17, PgBouncer 1.24.1 and 1.26.1, if not our own.
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../scripts/lib.sh"

if [[ -z ${POOLER_ROOT_POSTGRES:-} || -z ${POOLER_ROOT_TRIXIE:-} || -z ${POOLER_ROOT_FORKY:-} ]]; then
  "$root_dir/scripts/images.sh" postgres pgbouncer
  POOLER_ROOT_POSTGRES=$("$root_dir/scripts/images.sh" root localhost/postgres:17)
  POOLER_ROOT_TRIXIE=$("$root_dir/scripts/images.sh" root localhost/pgbouncer:1.24.1)
  POOLER_ROOT_FORKY=$("$root_dir/scripts/images.sh" root localhost/pgbouncer:1.26.1)
fi
cd "$root_dir"
build=${POOLER_BUILD:-build/dev}
status=0
as_root env "PATH=$PATH" "POOLER_ROOT_POSTGRES=$POOLER_ROOT_POSTGRES" \
  "POOLER_ROOT_TRIXIE=$POOLER_ROOT_TRIXIE" "POOLER_ROOT_FORKY=$POOLER_ROOT_FORKY" \
  ctest --test-dir "$build" --no-tests=error -L '^pooler$' -j2 --quiet --output-on-failure "$@" ||
  status=$?
# ctest counts processes; here the tests in them are counted.
awk -F'[][ ]+' '/^\[  PASSED  \]/ { passed += $3 } /^\[  FAILED  \] [0-9]+ test/ { failed += $3 }
  END { printf "%d passed, %d failed\n", passed, failed }' "$build/Testing/Temporary/LastTest.log"
exit "$status"
