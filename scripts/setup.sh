#!/usr/bin/env bash
# From a fresh clone to a picture: installs what is missing, builds, draws.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_packages.sh build
cmake --preset release
cmake --build --preset release

tempera=build/release/bin/tempera
picture=build/first-picture.png
model=models/emoji-xl
prompt="a red apple"
if [[ ! -e $model ]]; then
  # No trained model in this checkout: one of random weights shows that everything works, if not what.
  model=build/tiny-model
  [[ -e $model ]] || "$tempera" synth --preset tiny "$model" >/dev/null
fi
"$tempera" generate "$prompt" --model "$model" --seed 1 --steps 20 --output "$picture" >/dev/null

echo
echo "Drawn: $picture"
echo "Next:  $tempera generate --help"
