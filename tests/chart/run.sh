#!/usr/bin/env bash
# What the chart renders for which values: chart_test.py with the Helm of the test cluster, or the one
# that HELM names.
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../cluster/lib.sh"
source "$cluster_src/binaries.sh"

if [[ -z ${HELM:-} ]]; then
  HELM=$bin_dir/helm
  if [[ ! -x $HELM ]]; then
    need_go
    mkdir -p "$bin_dir"
    step "Building helm from source" build_program helm
  fi
fi
need_apt "${test_packages[@]}"
exec env HELM="$HELM" /usr/bin/python3 -B "$root_dir/tests/chart/chart_test.py"
