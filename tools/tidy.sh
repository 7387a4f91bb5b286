#!/usr/bin/env bash
# clang-tidy (.clang-tidy), about ten seconds for each file:
#   tools/tidy.sh                    all sources of src and apps; their headers are checked with them
#   tools/tidy.sh --changed [BASE]   files that differ from BASE. Default: the last common commit with main, or on main
#                                    the previous commit. For a header, one source that includes it is checked.
#   tools/tidy.sh FILE...            these files
# Sources of the CUDA backend are checked if there is a toolkit. Its kernels (.cu, .cuh) are not, because only nvcc
# compiles them.
set -euo pipefail
cd "$(dirname "$0")/.."
sources=('src/*.cpp' 'apps/*.cpp')

base_of_changes() {
  local main base
  main=$(git rev-parse --quiet --verify origin/main || git rev-parse --verify main)
  base=$(git merge-base HEAD "$main")
  [[ $base != "$(git rev-parse HEAD)" ]] || base=$(git rev-parse --verify HEAD^)
  echo "$base"
}

# The source next to a header, or else the first source that includes it.
source_of() {
  if [[ -e ${1%.h}.cpp ]]; then
    echo "${1%.h}.cpp"
  else
    git grep -lE "#include \"(${1#*/}|${1##*/})\"" -- "${sources[@]}" | sed -n 1p || true
  fi
}

changed() {
  git diff --name-only --diff-filter=d "$1" -- "${sources[@]}"
  git diff --name-only --diff-filter=d "$1" -- 'src/*.h' 'apps/*.h' 'include/*.h' | while read -r header; do source_of "$header"; done
}

case "${1:-}" in
  '') files=$(git ls-files "${sources[@]}") ;;
  --changed)
    base=${2:-$(base_of_changes)}
    files=$(changed "$base" | sort -u)
    ;;
  *) files=$(printf '%s\n' "$@") ;;
esac

build=build/tidy
cmake --preset dev -B "$build" -DTEMPERA_CUDA=AUTO >/dev/null
compiled=$(sed -n "s#^ *\"file\": \"$PWD/\(.*\)\".*#\1#p" "$build/compile_commands.json" | sort -u)
missing=$(comm -23 <(sort -u <<<"$files") <(echo "$compiled"))
if grep -v '^src/backend/cuda/' <<<"$missing" | grep .; then
  echo "tidy: $build does not compile these files" >&2
  exit 2
fi
[[ -z $missing ]] || echo "Not checked without a CUDA toolkit:" $missing
comm -12 <(sort -u <<<"$files") <(echo "$compiled") |
  xargs -r -n 1 -P "$(nproc)" clang-tidy -p "$build" --quiet --extra-arg=-Wno-unknown-warning-option
