// The results of diffusers for a small model (../shared/reference): inputs and outputs of every part. Tests that need
// them are skipped if the folder does not exist.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "weights/checkpoint.h"

namespace tempera::test {

// The folder in the environment variable TEMPERA_REFERENCE_DIR, written by tests/diffusers/make_parts.py. Without it,
// <repository>/../shared/reference/dev.
std::filesystem::path reference_dir();
bool has_reference();
bool is_full_size();  // whether the parts are of a model as large as SDXL, for pictures of 512 x 512 and more

// A tensor of parts.safetensors, as floats.
struct Part {
  std::vector<int64_t> dims;
  std::vector<float> values;
};
Part part(const std::string& name);

// From (N, C, H, W) to (N, H, W, C) and back.
std::vector<float> to_nhwc(const Part& nchw);

// |a - b|| / ||b||; infinity if the sizes differ or a value is not finite.
double relative_error(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace tempera::test
