#!/usr/bin/env bash
# From a fresh clone to a tested build: installs what is missing, builds, runs the tests. Arguments go to ctest; without
# any, all but the tests labelled slow run.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_packages.sh build test
cmake --preset dev
cmake --build --preset dev
if [[ $# -eq 0 ]]; then
  set -- --label-exclude slow
fi
# Threads that spin while they wait for each other gain nothing on problems as small as the tests' and cost much on a
# busy machine.
OMP_WAIT_POLICY=passive ctest --preset dev "$@"
