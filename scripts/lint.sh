#!/usr/bin/env bash
# Formatting, names and the rules of the tree. Called by ./x lint.
#
#   scripts/lint.sh [CHECK...]     by default all: format includes shell paths crd tidy
#   scripts/lint.sh fix            formats the C++ in place
#
# Each check is also run on a seeded violation below tests/lint and has to find it: a check that
# can't fail checks nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh
source scripts/packages.sh
source scripts/build.sh

all_checks=(format includes shell paths crd tidy)
clang_version=$(printf '%s\n' "${lint_packages[@]}" | sed -n 's/^clang-tidy-//p')
lint_dir=build/lint
seeds=tests/lint

# Files of the tree, new ones included; the seeds are not of it.
files() { git ls-files -co --exclude-standard --deduplicate -- "$@" | grep -v "^$seeds/" | existing; }
existing() { while IFS= read -r file; do [[ -f $file ]] && printf '%s\n' "$file"; done; }
cpp_files() { files '*.cpp' '*.h'; }
shell_files() {
  files '*.sh'
  files | grep -v '\.sh$' | while IFS= read -r file; do
    head -c 64 "$file" | head -n 1 | grep -qaE '^#!.*\b(ba)?sh\b' && printf '%s\n' "$file"
  done
}

# --- the checks: each prints what is wrong and fails, or is silent -----------------------------

check_format() { xargs -r "clang-format-$clang_version" --dry-run -Werror; }

# shellcheck disable=SC2120
check_includes() { scripts/check-includes "${1:-.}"; }

check_shell() { xargs -r shellcheck --severity=info; }

# Paths of one machine: this tree's own place, and people's home folders.
check_paths() {
  local found=0 pattern='(^|[^[:alnum:]_./$}-])(/(home|Users)/[a-z]|/root/[.a-z])'
  xargs -r grep -nHIE "$pattern|$root_dir(/|$)" || found=$?
  ((found == 1 || found == 123)) # grep found nothing; xargs says 123 for a grep's 1
}

# Helm does not follow links out of a chart, so the chart has a copy of the API's only source.
# shellcheck disable=SC2120
check_crd() {
  local chart=${1:-charts/pooler-operator}
  [[ -f crds/poolerconfigs.yaml ]] || die "crds/poolerconfigs.yaml is missing"
  diff -u crds/poolerconfigs.yaml "$chart/files/poolerconfigs.yaml" || {
    echo "The chart's copy differs: cp crds/poolerconfigs.yaml $chart/files/"
    return 1
  }
}

check_tidy() {
  # What was found clean stays known beyond build/, for the next clone too.
  scripts/run-tidy "clang-tidy-$clang_version" build/dev/compile_commands.json "$cache_dir/tidy" \
    operator tests
}

# --- seeded violations --------------------------------------------------------------------------

# must_find PATTERN CMD...: CMD has to fail, and to say PATTERN.
must_find() {
  local pattern=$1 output
  shift
  if output=$("$@" 2>&1 </dev/null); then
    echo "A seeded violation was not found: $*"
    return 1
  fi
  grep -qE -- "$pattern" <<<"$output" && return
  printf 'A seeded violation was not found (expected "%s"): %s\n%s\n' "$pattern" "$*" "$output"
  return 1
}
on() { local check=$1 && shift && printf '%s\n' "$@" | "check_$check"; }

seed_format() { must_find 'code should be clang-formatted' on format "$seeds/format/violation.cpp"; }

seed_includes() {
  local expected
  while IFS= read -r expected; do
    must_find "$expected" check_includes "$seeds/includes" || return
  done <"$seeds/includes/expected"
}

seed_shell() { must_find SC2086 on shell "$seeds/shell/violation.sh"; }

seed_paths() {
  local line lines
  mapfile -t lines <"$seeds/paths/violation.txt"
  for line in "${lines[@]}"; do
    must_find "$line" on paths "$seeds/paths/violation.txt" || return
  done
  # The place of this tree is known only here.
  mkdir -p "$lint_dir"
  echo "see $root_dir/notes" >"$lint_dir/own-path.txt"
  must_find 'own-path.txt:1:' on paths "$lint_dir/own-path.txt"
}

seed_crd() { must_find 'copy differs' check_crd "$seeds/crd"; }

seed_tidy() {
  local expected
  mkdir -p "$lint_dir/seed"
  printf '[{"directory": "%s", "file": "%s", "command": "c++ -std=c++20 -c violation.cpp"}]\n' \
    "$root_dir/$seeds/tidy" violation.cpp >"$lint_dir/seed/compile_commands.json"
  while IFS= read -r expected; do
    must_find "$expected" scripts/run-tidy "clang-tidy-$clang_version" \
      "$lint_dir/seed/compile_commands.json" "$lint_dir/seed/cache" || return
  done < <(sed -n 's|.*// expected: ||p' "$seeds/tidy/violation.cpp")
}

# --- run ----------------------------------------------------------------------------------------

run_format() { seed_format && cpp_files | check_format; }
run_includes() { seed_includes && check_includes; }
run_shell() { seed_shell && shell_files | check_shell; }
run_paths() { seed_paths && files | check_paths; }
run_crd() { seed_crd && check_crd; }
run_tidy() { seed_tidy && check_tidy; }

title() {
  case $1 in
  format) echo "Lint: formatting (clang-format $clang_version)" ;;
  includes) echo "Lint: includes follow the arrows of the architecture" ;;
  shell) echo "Lint: shell scripts (shellcheck)" ;;
  paths) echo "Lint: no paths of one machine" ;;
  crd) echo "Lint: the chart's copy of the CRD" ;;
  tidy) echo "Lint: names and bugs (clang-tidy $clang_version)" ;;
  *) die "no such check: $1" "There are: ${all_checks[*]}." ;;
  esac
}

main() {
  local check text bad=()
  need_apt "${lint_packages[@]}" python3 git
  if [[ ${1:-} == fix ]]; then
    cpp_files | xargs -r "clang-format-$clang_version" -i
    return
  fi
  (($#)) || set -- "${all_checks[@]}"
  # clang-tidy reads how each file is compiled.
  [[ " $* " != *" tidy "* ]] || configure dev
  for check in "$@"; do
    text=$(title "$check")
    POOLER_LOG_LINES=${POOLER_LOG_LINES:-80} step "$text" "run_$check" || bad+=("$check")
  done
  ((${#bad[@]} == 0)) || die "lint: ${bad[*]}" "Formatting mends itself: scripts/lint.sh fix"
}

main "$@"
