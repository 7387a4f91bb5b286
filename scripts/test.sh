#!/usr/bin/env bash
# From a new clone to a tested build: installs missing packages, builds, and runs the tests. Arguments are passed to
# ctest. Without arguments, it runs all tests except those labelled slow.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_packages.sh build test
cmake --preset dev
cmake --build --preset dev
if [[ $# -eq 0 ]]; then
  set -- --label-exclude slow
fi
# Threads that spin while they wait do not make small problems faster, and they make the tests slow on a busy machine.
OMP_WAIT_POLICY=passive ctest --preset dev "$@"
