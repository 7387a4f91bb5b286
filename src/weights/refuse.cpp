// Files of other formats: recognised by their first bytes, and refused with the file to use instead.
#include <algorithm>
#include <array>
#include <string>

#include "base/error.h"
#include "base/file_kind.h"
#include "weights/safetensors.h"

namespace tempera {
namespace {
// The name under which the same weights are published as safetensors.
std::string safetensors_twin(const std::filesystem::path& path) {
  std::string stem = path.stem().string();
  if (stem == "pytorch_model") stem = "model";  // transformers' names
  return (path.parent_path() / (stem + ".safetensors")).string();
}

[[noreturn]] void refuse_pickle(const std::filesystem::path& path) {
  const std::string twin = safetensors_twin(path);
  if (twin == path.string()) {
    fail(ErrorCode::bad_file,
         "'{}' is a pickle under the name of a safetensors file; pickles can run code when they are opened and are "
         "never read: get the model as safetensors, or convert it",
         path.string());
  }
  std::error_code error;
  fail(ErrorCode::bad_file, "'{}' is a pickle, which can run code when it is opened, and is never read: {} '{}'",
       path.string(),
       std::filesystem::exists(twin, error) ? "use" : "get the model as safetensors or convert it, often the file is",
       twin);
}
}  // namespace

void refuse_other_formats(std::span<const std::byte> first_bytes, const std::filesystem::path& path) {
  const std::string_view text(reinterpret_cast<const char*>(first_bytes.data()), first_bytes.size());
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  // A header shorter than 2^32 bytes, then '{': no pickle and no archive looks like this.
  if (byte(8) == '{' && byte(4) + byte(5) + byte(6) + byte(7) == 0) return;
  if (text.starts_with("GGUF")) {
    fail(ErrorCode::bad_file, "'{}' is a GGUF file where a safetensors file is needed: give the GGUF file itself",
         path.string());
  }
  // A zip archive (PyTorch since 1.6), or a bare pickle of protocol 2 to 5.
  if (text.starts_with("PK\x03\x04") || (byte(0) == 0x80 && byte(1) >= 2 && byte(1) <= 5)) refuse_pickle(path);
  refuse_failed_downloads(text, path);
  constexpr std::array kPickles = {".bin", ".ckpt", ".pt", ".pth"};
  const std::string extension = path.extension().string();
  if (std::find(kPickles.begin(), kPickles.end(), extension) != kPickles.end()) refuse_pickle(path);
  if (extension == ".gguf") {
    fail(ErrorCode::bad_file, "'{}' is no GGUF file: it does not begin with GGUF; get it again", path.string());
  }
}

}  // namespace tempera
