#!/usr/bin/env bash
# Runs every test that needs a card. Builds first, unless the first argument is a build folder. Then: conformance, the
# parts of the model, whole requests on the card, and a few rows under compute-sanitizer. Prints one line per check; the
# logs are in <build>/gpu_check. Exit status 1 if a check failed.
set -uo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/gpu}
logs=$build/gpu_check
# Rows that cover every kernel family once and are quick under the sanitizer.
row=Rows/Conformance.Row/cuda
racing="$row"_attention_flash:"$row"_group_norm_cuda:"$row"_guidance_cuda:"$row"_attention_naive
sanitized=$racing:"$row"_layer_norm_cuda:"$row"_concat_cuda:"$row"_upsample2x_cuda:"$row"_sampler_update_cuda:"$row"_conv2d_direct

if [[ $# -eq 0 ]]; then
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DTEMPERA_CUDA=REQUIRED -DTEMPERA_BENCHMARKS=OFF \
    -DTEMPERA_CPU="${TEMPERA_CPU:-OFF}" >/dev/null &&
    cmake --build "$build" --target all engine_full_size_check || exit 1
fi
mkdir -p "$logs"
failed=0

# check NAME COMMAND...: prints one line, and the errors in the log if the command fails.
check() {
  local name=$1 log=$logs/${1// /_}.log start=$SECONDS
  shift
  if "$@" >"$log" 2>&1; then
    echo "ok      $name, $((SECONDS - start)) s"
  else
    failed=1
    echo "FAILED  $name, $((SECONDS - start)) s: $log"
    grep -aE 'FAILED|Failure|Error|error|throws|differs|gives|writes' "$log" | sort | uniq -c | sort -rn | head -25
  fi
}

find_test() { find "$build" -name "$1" -type f -perm -u+x | head -1; }

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
check "no card needed" "$(find_test backend_cuda_test)"
check "conformance" "$(find_test conformance_test)" --gtest_filter="$row*" --gtest_brief=1
grep -a "ran .* problems" "$logs/conformance.log" | cut -c1-150
check "noise" "$(find_test noise_test)" --gtest_brief=1
check "conformance at full size" "$(find_test conformance_test)" --gtest_filter='*/Conformance.SlowRow/cuda_*' \
  --gtest_brief=1
check "parts of the model" "$(find_test parts_test)" --gtest_brief=1
check "equivalence" "$(find_test equivalence_test)" --gtest_brief=1
check "engines" env TEMPERA_TEST_DEVICE=cuda "$(find_test engine_test)" --gtest_brief=1
model=$logs/sdxl
[[ -d "$model" ]] || "$(find_test tempera)" synth --preset sdxl-base "$model" >/dev/null
cp -r models/emoji-xl/tokenizer models/emoji-xl/tokenizer_2 "$model"  # any tokenizer fits random weights
check "unlike requests at full size" "$(find_test engine_full_size_check)" "$model" cuda fp16
grep -a "planned\|against" "$logs/unlike_requests_at_full_size.log" | cut -c1-150
for dtype in fp32 fp16 bf16; do
  check "a picture, $dtype" "$(find_test tempera)" generate "a red apple" --device cuda --dtype "$dtype" --seed 1 \
    --output "$logs/apple-$dtype.png"
  check "the same eager, $dtype" "$(find_test tempera)" generate "a red apple" --device cuda --dtype "$dtype" --seed 1 \
    --eager --output "$logs/apple-$dtype-eager.png"
done
check "again" "$(find_test tempera)" generate "a red apple" --device cuda --dtype fp16 --seed 1 --output "$logs/again.png"
check "the same bytes again" cmp "$logs/apple-fp16.png" "$logs/again.png"
check "kernels timed" "$(find_test tempera)" bench ops --device cuda --repeats 2
check "a generation traced" "$(find_test tempera)" bench trace --device cuda --steps 4 --output "$logs/trace.json"
if command -v compute-sanitizer >/dev/null; then
  check "memcheck" compute-sanitizer --error-exitcode 1 "$(find_test conformance_test)" \
    --gtest_filter="$sanitized" --gtest_brief=1
  check "racecheck" compute-sanitizer --tool racecheck --error-exitcode 1 "$(find_test conformance_test)" \
    --gtest_filter="$racing" --gtest_brief=1
fi
exit $failed
