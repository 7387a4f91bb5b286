// What diffusers computed for a small model (../shared/reference): inputs and outputs of every part. Tests that need it
// skip where the folder is not there.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "weights/checkpoint.h"

namespace tempera::test {

// <repository>/../shared/reference/dev, or what the environment's TEMPERA_REFERENCE_DIR says: a folder that
// tests/diffusers/make_parts.py wrote.
std::filesystem::path reference_dir();
bool has_reference();
bool is_full_size();  // parts of a model as large as SDXL, for pictures of 512 x 512 and more

// A tensor of parts.safetensors, as floats.
struct Part {
  std::vector<int64_t> dims;
  std::vector<float> values;
};
Part part(const std::string& name);

// (N, C, H, W) to (N, H, W, C) and back.
std::vector<float> to_nhwc(const Part& nchw);

// ||a - b|| / ||b||; infinity when sizes differ or a value is not finite.
double relative_error(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace tempera::test
