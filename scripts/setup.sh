#!/usr/bin/env bash
# From a fresh clone to a picture: installs what is missing, builds, draws.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_packages.sh build
cmake --preset release
cmake --build --preset release

tempera=build/release/bin/tempera
picture=build/first-picture.png
# With the model that lies in this repository.
"$tempera" generate "a red apple" --seed 1 --output "$picture" >/dev/null

echo
echo "Drawn: $picture"
echo "Next:  $tempera generate --help"
