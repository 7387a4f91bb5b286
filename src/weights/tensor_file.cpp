#include "weights/tensor_file.h"

#include "base/error.h"
#include "weights/gguf.h"
#include "weights/safetensors.h"
#include "weights/scaled_fp8.h"

namespace tempera {

std::shared_ptr<const Checkpoint> open_tensor_file(const std::filesystem::path& path) {
  auto file = std::make_shared<const MappedFile>(path);
  if (is_gguf(file->bytes())) {
    auto gguf = std::make_shared<GgufFile>(std::move(file));
    // stable-diffusion.cpp names no architecture, ComfyUI-GGUF always one.
    if (const std::string& architecture = gguf->architecture(); !architecture.empty() && architecture != "sdxl") {
      fail(ErrorCode::bad_file, "'{}' is a GGUF file of the architecture {}: use one of sdxl", path.string(),
           in_quotes(architecture));
    }
    return gguf;
  }
  return with_fp8_scales(std::make_shared<SafetensorsFile>(std::move(file)));
}

}  // namespace tempera
