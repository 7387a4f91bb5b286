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

std::filesystem::path reference_dir();  // <repository>/../shared/reference/dev
bool has_reference();

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
