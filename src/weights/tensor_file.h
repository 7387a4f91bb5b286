// One file of tensors in any format that this program reads.
#pragma once

#include <filesystem>
#include <memory>

#include "weights/checkpoint.h"

namespace tempera {

// Opens a safetensors or GGUF file; the first bytes decide, not the name. Never null. Scales of fp8 weights are
// applied. Throws Error(bad_file) as SafetensorsFile, GgufFile and with_fp8_scales do, and for a GGUF file that names
// another architecture than sdxl.
std::shared_ptr<const Checkpoint> open_tensor_file(const std::filesystem::path& path);

}  // namespace tempera
