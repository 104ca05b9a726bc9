# shellcheck shell=bash
# configure PRESET: installs what a build needs, then writes build/PRESET where it is missing.
# Source scripts/packages.sh first.

configure() {
  local preset=$1 packages=("${build_packages[@]}") compiler=()
  case $preset in
  asan-ubsan | tsan | fuzz)
    packages+=("${clang_packages[@]}")
    # Debian's clang has its version in its name.
    compiler=("-DCMAKE_CXX_COMPILER=clang++-$clang")
    ;;
  esac
  need_apt "${packages[@]}"
  [[ -f build/$preset/build.ninja ]] && return
  step "Configuring $preset" cmake --preset "$preset" "${compiler[@]}"
}
