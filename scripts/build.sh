# shellcheck shell=bash
# configure PRESET: writes build/PRESET where it is missing. Source scripts/packages.sh first.

configure() {
  local preset=$1 compiler=()
  [[ -f build/$preset/build.ninja ]] && return
  # Debian's clang has its version in its name.
  [[ $preset != fuzz ]] || compiler=("-DCMAKE_CXX_COMPILER=clang++-$clang")
  step "Configuring $preset" cmake --preset "$preset" "${compiler[@]}"
}
