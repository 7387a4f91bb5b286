#!/usr/bin/env bash
# From a new clone to a picture: installs missing packages, builds, and draws. Builds with CUDA if its toolkit and cuDNN
# are installed. TEMPERA_CUDA=OFF scripts/setup.sh does not look for them.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_packages.sh build
configured=$(cmake --preset release ${TEMPERA_CUDA:+-DTEMPERA_CUDA="$TEMPERA_CUDA"} | tee /dev/stderr)
cmake --build --preset release

tempera=build/release/bin/tempera
picture=build/first-picture.png
# With the model in this repository.
"$tempera" generate "a red apple" --seed 1 --output "$picture" >/dev/null

echo
sed -n 's/^-- CUDA backend: /CUDA:  /p' <<<"$configured"
echo "Drawn: $picture"
echo "Next:  $tempera generate --help"
