#!/usr/bin/env bash
# The lines of the parsers of files that their unit tests and tests/hostile run, by Clang's source-based coverage.
# Builds what it needs without optimisation in build/coverage, in some minutes. Needs clang++, llvm-profdata, llvm-cov.
set -euo pipefail
cd "$(dirname "$0")/.."

out=build/coverage
parsers=(src/base/json.cpp src/weights/{safetensors,sharded,gguf,gguf_metadata,block_types,scaled_fp8,tensor_file,refuse}.cpp
  src/weights/gguf_cursor.h src/models/config_json.cpp src/sampling/config.cpp)
tests=(src/base/json_test.cpp src/weights/{safetensors,gguf,block_types,scaled_fp8}_test.cpp src/models/config_test.cpp
  src/sampling/config_test.cpp tests/hostile/hostile_test.cpp tests/hostile/allocations.cpp)
mapfile -t library < <(git ls-files 'src/base/*.cpp' 'src/weights/*.cpp' 'src/ir/*.cpp' 'src/models/*.cpp' \
  'src/sampling/*.cpp' ':!*_test.cpp')
mkdir -p "$out"
python3 tools/make_hostile_files.py "$PWD/$out/files"

objects=()
for source in "${library[@]}" "${tests[@]}"; do
  object=$out/${source//\//_}.o
  objects+=("$object")
  clang++ -std=c++20 -O0 -g -fprofile-instr-generate -fcoverage-mapping -Isrc -Iinclude -Itests -DFMT_SHARED \
    -DTEMPERA_REFERENCE="\"$PWD/../shared/reference\"" -DTEMPERA_SOURCE_DIR="\"$PWD\"" \
    -DTEMPERA_TEST_DATA="\"$PWD/tests/data\"" -DTEMPERA_HOSTILE_FILES="\"$PWD/$out/files\"" -c "$source" -o "$object"
done
clang++ -fprofile-instr-generate -o "$out/tests" "${objects[@]}" -lgmock -lgtest -lgtest_main -lfmt -lpthread
LLVM_PROFILE_FILE=$out/tests.profraw "$out/tests" --gtest_brief=1
llvm-profdata merge -o "$out/tests.profdata" "$out/tests.profraw"
llvm-cov report "$out/tests" -instr-profile="$out/tests.profdata" "${parsers[@]}"
