#include "weights/gguf_writer.h"

#include <array>

#include "base/error.h"
#include "weights/block_types.h"
#include "weights/gguf.h"

namespace tempera {
namespace {

constexpr uint64_t kAlignment = 32;  // the format's default

uint64_t padding(uint64_t size) {
  return (kAlignment - size % kAlignment) % kAlignment;
}

template <class T>
void add_number(std::string& text, T value) {
  for (size_t i = 0; i < sizeof value; ++i) text.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

void add_text(std::string& to, std::string_view text) {
  add_number<uint64_t>(to, text.size());
  to += text;
}
}  // namespace

uint64_t GgufSpec::bytes() const {
  CheckpointTensor tensor{dtype, dims, {}};
  tensor.blocks = blocks;
  return tensor.stored_bytes();
}

std::string gguf_header(std::span<const GgufSpec> tensors) {
  std::string header = "GGUF";
  add_number<uint32_t>(header, 3);
  add_number<uint64_t>(header, tensors.size());
  add_number<uint64_t>(header, 1);
  add_text(header, "general.quantization_version");
  add_number<uint32_t>(header, 4);  // an unsigned 32-bit integer
  add_number<uint32_t>(header, 2);
  uint64_t offset = 0;
  for (const GgufSpec& tensor : tensors) {
    add_text(header, tensor.name);
    add_number<uint32_t>(header, static_cast<uint32_t>(tensor.dims.size()));
    for (size_t i = tensor.dims.size(); i-- > 0;) add_number<uint64_t>(header, static_cast<uint64_t>(tensor.dims[i]));
    add_number<uint32_t>(header, tensor.blocks == nullptr ? gguf_number(tensor.dtype) : ggml_number(*tensor.blocks));
    add_number<uint64_t>(header, offset);
    offset += tensor.bytes() + padding(tensor.bytes());
  }
  header.append(padding(header.size()), '\0');
  return header;
}

GgufWriter::GgufWriter(const std::filesystem::path& path, std::span<const GgufSpec> tensors) : file_(path) {
  const std::string header = gguf_header(tensors);
  file_.append(std::as_bytes(std::span(header)));
  for (size_t i = tensors.size(); i-- > 0;) missing_.push_back(tensors[i].bytes());
}

void GgufWriter::append(std::span<const std::byte> bytes) {
  TEMPERA_ASSERT(!missing_.empty() && bytes.size() <= missing_.back());
  file_.append(bytes);
  written_ += bytes.size();
  missing_.back() -= bytes.size();
  if (missing_.back() > 0) return;
  missing_.pop_back();
  constexpr std::array<std::byte, kAlignment> kZeros = {};
  file_.append(std::span(kZeros).first(padding(written_)));
  written_ = 0;
}

void GgufWriter::commit() {
  TEMPERA_ASSERT(missing_.empty());
  file_.commit();
}

}  // namespace tempera
