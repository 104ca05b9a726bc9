#!/usr/bin/env bash
# The rings of tests, cheapest first; called by ./x test.
#
#   tests/run.sh [RING...] [--context NAME] [-- PYTEST ARGUMENTS]
#
# A ring that fails ends the run: what comes after it is dearer and would fail too. ctest is what
# runs inside, so `cmake --preset dev && cmake --build --preset dev && ctest --preset dev -L unit`
# does the same by hand.
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../scripts/lib.sh"
source "$root_dir/scripts/packages.sh"
source "$root_dir/scripts/build.sh"
cd "$root_dir"

all_rings=(lint unit fault pooler e2e fuzz)
# libFuzzer's time for each target; longer by hand: FUZZ_SECONDS=3600 ./x test fuzz
fuzz_seconds=${FUZZ_SECONDS:-20}
results=()

compile() { # PRESET TARGET...
  configure "$1"
  step "Compiling $1: ${*:2}" cmake --build --preset "$1" --target "${@:2}"
}

# tested RING TITLE CMD...: runs CMD, keeps what it counted for the table at the end.
tested() {
  local ring=$1 title=$2 began log status=0
  shift 2
  began=$(date +%s)
  mkdir -p build
  log=$(mktemp build/test-log.XXXXXX)
  say "$ring: $title"
  "$@" 2>&1 | tee "$log" || status=$?
  results+=("$ring|$title|$(counted "$log")|$(elapsed "$began")|$([[ $status == 0 ]] && echo ok || echo FAILED)")
  rm -f "$log"
  ((status == 0)) || {
    table
    exit 1
  }
}

# The closing line of ctest, pytest or a script's "N passed, N failed".
counted() {
  local line
  line=$(grep -aE 'tests passed, |[0-9]+ passed' "$1" | tail -n 1) || true
  case $line in
  *'out of '*) echo "${line##*out of } tests" ;;
  *) grep -oE '[0-9]+ passed' <<<"$line" | sed 's/ passed/ tests/' || echo "-" ;;
  esac
}

table() {
  printf '\n%-8s %-34s %12s %8s  %s\n' ring what ran time result
  local row ring title count time result
  for row in "${results[@]}"; do
    IFS='|' read -r ring title count time result <<<"$row"
    printf '%-8s %-34s %12s %8s  %s\n' "$ring" "$title" "$count" "$time" "$result"
  done
  printf 'all of it: %s\n' "$(elapsed)"
}

ctest_of() { ctest --preset "$1" --no-tests=error -j2 "${@:2}"; }

ring_lint() {
  tested lint "format, names, arrows, scripts" scripts/lint.sh
}

ring_unit() {
  need_apt "${test_packages[@]}"
  compile dev ring_unit
  tested unit "" ctest_of dev -L '^unit$' --output-on-failure
  [[ ! -x tests/chart/run.sh ]] || tested unit "chart" tests/chart/run.sh
  tested unit "drivers" tests/drivers/run.sh
}

# Memory, undefined behaviour and races are looked for in the two rings that need nothing outside;
# races where there are threads. cpprestsdk itself is not built with ThreadSanitizer, so its transport
# stays out of that run.
ring_fault() {
  compile dev ring_fault
  tested fault "" ctest_of dev -L '^fault$' --output-on-failure
  compile asan-ubsan ring_unit ring_fault
  tested fault "both under ASan and UBSan" \
    ctest_of asan-ubsan -L '^(unit|fault)$' --output-on-failure
  compile tsan ring_unit ring_fault
  tested fault "what has threads under TSan" \
    ctest_of tsan -L '^(unit|fault)$' -E 'Cpprest' --output-on-failure
}

ring_pooler() {
  compile dev ring_pooler
  tested pooler "PgBouncer 1.24.1 and 1.26.1" tests/pooler/run.sh
}

ring_e2e() {
  local title="on a real cluster"
  [[ ${1:-} != --context ]] || title="on $2, without the tutorials"
  tested e2e "$title" tests/e2e/run.sh "$@"
}

ring_fuzz() {
  configure fuzz
  step "Fuzz targets run $fuzz_seconds s each" cmake -DPOOLER_FUZZ_SECONDS="$fuzz_seconds" build/fuzz
  compile fuzz ring_fuzz
  tested fuzz "every parser, $fuzz_seconds s each" \
    ctest_of fuzz -L '^fuzz$' --output-on-failure
}

main() {
  local rings=() e2e_arguments=()
  while (($#)); do
    case $1 in
    --context)
      (($# >= 2)) || die "--context needs a name" "kubectl config get-contexts lists them."
      e2e_arguments+=(--context "$2")
      shift
      ;;
    --)
      shift
      e2e_arguments+=(-- "$@")
      break
      ;;
    *)
      [[ " ${all_rings[*]} accept " == *" $1 "* ]] || die "no such ring: $1" "There are: ${all_rings[*]} accept"
      rings+=("$1")
      ;;
    esac
    shift
  done
  ((${#rings[@]})) || rings=("${all_rings[@]}")
  local ring
  for ring in "${rings[@]}"; do
    case $ring in
    e2e) ring_e2e "${e2e_arguments[@]}" ;;
    accept) exec tests/accept/run.sh "${e2e_arguments[@]}" ;;
    *) "ring_$ring" ;;
    esac
  done
  table
}

main "$@"
