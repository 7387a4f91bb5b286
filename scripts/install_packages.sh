#!/usr/bin/env bash
# Installs missing packages on Debian and Ubuntu. Does nothing if all are installed.
#   scripts/install_packages.sh build           to build tempera
#   scripts/install_packages.sh build test      ... and its tests
#   scripts/install_packages.sh build test check  ... and to run the sanitizers, fuzzers and linters of .ci/run
set -euo pipefail

declare -A packages=(
  [build]="g++ cmake ninja-build libfmt-dev nlohmann-json3-dev libcli11-dev libdnnl-dev libhwy-dev libpng-dev libjpeg-dev libwebp-dev liblcms2-dev libutf8proc-dev libsqlite3-dev nettle-dev"
  [test]="pkgconf libgtest-dev libgmock-dev libbenchmark-dev"
  [check]="git python3 flake8 ccache clang clang-format clang-tidy libclang-rt-dev libomp-dev valgrind"
)

wanted=()
for group in "$@"; do
  if [[ -z "${packages[$group]:-}" ]]; then
    echo "unknown group '$group': give build, test or check" >&2
    exit 2
  fi
  read -r -a names <<<"${packages[$group]}"
  wanted+=("${names[@]}")
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "This is not Debian or Ubuntu: install the equivalents of these packages yourself: ${wanted[*]}" >&2
  exit 0
fi

missing=()
for name in "${wanted[@]}"; do
  [[ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" == installed ]] || missing+=("$name")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

as_root=()
if [[ $EUID -ne 0 ]]; then
  if ! command -v sudo >/dev/null; then
    echo "Missing packages; run as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "Installing ${missing[*]}"
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
