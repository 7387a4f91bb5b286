#!/usr/bin/env bash
# clang-tidy (.clang-tidy) over the library and the applications, or over the files given. Needs build/dev configured.
set -euo pipefail
cd "$(dirname "$0")/.."
files=("$@")
if [[ ${#files[@]} -eq 0 ]]; then
  mapfile -t files < <(git ls-files 'src/*.cpp' 'apps/*.cpp' | grep -vE '_(test|bench)\.cpp$')
fi
printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "$(nproc)" clang-tidy -p build/dev --quiet --extra-arg=-Wno-unknown-warning-option
