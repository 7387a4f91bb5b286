// One file of tensors in any format that this program reads.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "weights/checkpoint.h"

namespace tempera {

struct TensorFile {
  std::shared_ptr<const Checkpoint> tensors;    // never null; scales of fp8 weights are applied
  std::map<std::string, std::string> metadata;  // __metadata__ of a safetensors file
};

// Opens a safetensors or GGUF file; the first bytes decide, not the name. Throws Error(bad_file) as SafetensorsFile,
// GgufFile and with_fp8_scales do, and for a GGUF file that names another architecture than sdxl.
TensorFile open_tensor_file(const std::filesystem::path& path);

}  // namespace tempera
