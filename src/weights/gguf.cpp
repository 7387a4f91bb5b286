#include "weights/gguf.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "weights/block_types.h"
#include "weights/gguf_metadata.h"

namespace tempera {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr uint64_t kLeastKey = 8 + 4 + 1;             // bytes of a key with its value
constexpr uint64_t kLeastTensor = 8 + 4 + 8 + 4 + 8;  // bytes of the description of a tensor

// Types of tensors that are not blocks.
constexpr std::array<std::pair<uint32_t, DType>, 8> kPlainTypes = {{{0, DType::f32},
                                                                    {1, DType::f16},
                                                                    {24, DType::i8},
                                                                    {25, DType::i16},
                                                                    {26, DType::i32},
                                                                    {27, DType::i64},
                                                                    {28, DType::f64},
                                                                    {30, DType::bf16}}};

std::optional<DType> plain_type(uint32_t number) {
  const auto* at = std::ranges::find(kPlainTypes, number, &std::pair<uint32_t, DType>::first);
  return at == kPlainTypes.end() ? std::nullopt : std::optional(at->second);
}

// The name of a type of ggml that this program does not read.
std::string type_name(uint32_t number) {
  constexpr std::array<std::pair<uint32_t, std::string_view>, 15> kNames = {{{9, "Q8_1"},
                                                                             {15, "Q8_K"},
                                                                             {16, "IQ2_XXS"},
                                                                             {17, "IQ2_XS"},
                                                                             {18, "IQ3_XXS"},
                                                                             {19, "IQ1_S"},
                                                                             {20, "IQ4_NL"},
                                                                             {21, "IQ3_S"},
                                                                             {22, "IQ2_S"},
                                                                             {23, "IQ4_XS"},
                                                                             {29, "IQ1_M"},
                                                                             {34, "TQ1_0"},
                                                                             {35, "TQ2_0"},
                                                                             {39, "MXFP4"},
                                                                             {40, "NVFP4"}}};
  const auto* at = std::ranges::find(kNames, number, &std::pair<uint32_t, std::string_view>::first);
  return at == kNames.end() ? fmt::format("number {}", number) : std::string(at->second);
}

int64_t checked_product(std::span<const int64_t> dims, std::string_view name, std::string_view what) {
  int64_t product = 1;
  for (const int64_t dim : dims) {
    if (__builtin_mul_overflow(product, dim, &product))
      fail(ErrorCode::bad_file, "'{}': the shape of the tensor {} overflows", what, in_quotes(name));
  }
  return product;
}

// Of the file, before the original shape replaces it. `dims` is outermost first.
std::vector<int64_t> read_dims(GgufCursor& file, std::string_view name) {
  const auto rank = file.number<uint32_t>("a number of dimensions");
  if (rank < 1 || rank > kMaxGgufRank) {
    fail(ErrorCode::bad_file, "'{}': the tensor {} has {} dimensions, must have 1 to {}", file.what(), in_quotes(name),
         rank, kMaxGgufRank);
  }
  std::vector<int64_t> dims(rank);
  for (size_t i = rank; i-- > 0;) {
    const auto dim = file.number<uint64_t>("a dimension");
    if (dim < 1 || !std::in_range<int64_t>(dim))
      fail(ErrorCode::bad_file, "'{}': the tensor {} has the dimension {}", file.what(), in_quotes(name), dim);
    dims[i] = static_cast<int64_t>(dim);
  }
  return dims;
}

// begin and end count from the first byte of the data.
GgufTensor read_tensor(GgufCursor& file, std::string_view name, uint64_t alignment) {
  const std::string_view what = file.what();
  GgufTensor tensor;
  tensor.dims = read_dims(file, name);
  const auto number = file.number<uint32_t>("the type of a tensor");
  tensor.blocks = ggml_block_type(number);
  const std::optional<DType> plain = plain_type(number);
  if (tensor.blocks == nullptr && !plain) {
    fail(ErrorCode::bad_file,
         "'{}': the tensor {} is of GGUF's type {}, which is not supported: use a file of one of the types F32, F16, "
         "BF16, Q8_0, Q6_K to Q2_K, Q5_1, Q5_0, Q4_1, Q4_0",
         what, in_quotes(name), type_name(number));
  }
  if (plain) tensor.dtype = *plain;
  const int64_t block_elements = plain ? 1 : static_cast<int64_t>(tensor.blocks->elements);
  const uint64_t block_bytes = plain ? size_of(*plain) : tensor.blocks->bytes;
  if (tensor.dims.back() % block_elements != 0) {
    fail(ErrorCode::bad_file, "'{}': the rows of the tensor {} have {} elements, its type {} needs a multiple of {}",
         what, in_quotes(name), tensor.dims.back(), tensor.blocks->name, block_elements);
  }
  uint64_t bytes = static_cast<uint64_t>(checked_product(tensor.dims, name, what) / block_elements);
  tensor.begin = file.number<uint64_t>("the offset of a tensor");
  if (__builtin_mul_overflow(bytes, block_bytes, &bytes) || __builtin_add_overflow(tensor.begin, bytes, &tensor.end))
    fail(ErrorCode::bad_file, "'{}': the size of the tensor {} overflows", what, in_quotes(name));
  if (tensor.begin % alignment != 0) {
    fail(ErrorCode::bad_file, "'{}': the offset {} of the tensor {} is no multiple of the alignment {}", what,
         tensor.begin, in_quotes(name), alignment);
  }
  return tensor;
}

// Moves the ranges behind the header, and checks that they are in the file and have no byte in common.
void place(GgufHeader& header, size_t header_end, uint64_t alignment, size_t file_size, std::string_view what) {
  uint64_t data_begin = header_end + alignment - 1;
  data_begin -= data_begin % alignment;
  std::vector<std::pair<size_t, std::string_view>> ends;  // with the begin as the first, to sort by
  for (auto& [name, tensor] : header.tensors) {
    if (data_begin > file_size || tensor.end > file_size - data_begin) {
      fail(ErrorCode::bad_file,
           "'{}' is truncated: the tensor {} ends {} bytes after byte {}, the file has {} bytes; get the file again",
           what, in_quotes(name), tensor.end, data_begin, file_size);
    }
    tensor.begin += data_begin;
    tensor.end += data_begin;
    ends.emplace_back(tensor.begin, name);
  }
  std::ranges::sort(ends);
  size_t position = 0;
  for (const auto& [begin, name] : ends) {
    if (begin < position) fail(ErrorCode::bad_file, "'{}': the tensor {} overlaps another one", what, in_quotes(name));
    position = header.tensors.find(name)->second.end;
  }
}
}  // namespace

bool is_gguf(std::span<const std::byte> file) {
  return file.size() >= kMagic.size() && std::memcmp(file.data(), kMagic.data(), kMagic.size()) == 0;
}

uint32_t gguf_number(DType type) {
  const auto* at = std::ranges::find(kPlainTypes, type, &std::pair<uint32_t, DType>::second);
  TEMPERA_ASSERT(at != kPlainTypes.end());
  return at->first;
}

GgufHeader parse_gguf(std::span<const std::byte> bytes, std::string_view what) {
  if (!is_gguf(bytes)) fail(ErrorCode::bad_file, "'{}' is no GGUF file: it does not begin with GGUF", what);
  GgufCursor file(bytes, what);
  file.take(kMagic.size(), "the beginning");
  const auto version = file.number<uint32_t>("the version");
  if (version != 2 && version != 3) {
    const bool swapped = version == 0x02000000 || version == 0x03000000;
    fail(ErrorCode::bad_file, "'{}' is a GGUF file {}: use one of version 2 or 3{}", what,
         swapped ? std::string("in big-endian byte order") : fmt::format("of version {}", version),
         swapped ? " in little-endian byte order" : "");
  }
  const auto tensors = file.number<uint64_t>("the number of tensors");
  const auto keys = file.number<uint64_t>("the number of keys");
  file.count(tensors, kLeastTensor, "tensors");
  GgufMetadata metadata = read_gguf_metadata(file, file.count(keys, kLeastKey, "keys"));

  GgufHeader header;
  header.architecture = std::move(metadata.architecture);
  file.count(tensors, kLeastTensor, "tensors");
  for (uint64_t i = 0; i < tensors; ++i) {
    const std::string_view name = file.name("the name of a tensor");
    const auto [at, is_new] = header.tensors.emplace(name, GgufTensor());
    if (!is_new) fail(ErrorCode::bad_file, "'{}': the tensor {} appears twice", what, in_quotes(name));
    at->second = read_tensor(file, name, metadata.alignment);
  }
  place(header, file.position(), metadata.alignment, bytes.size(), what);
  for (auto& [name, dims] : metadata.original_shapes) {
    const auto tensor = header.tensors.find(name);
    if (tensor == header.tensors.end()) continue;
    if (checked_product(dims, name, what) != checked_product(tensor->second.dims, name, what)) {
      fail(ErrorCode::bad_file, "'{}': the tensor {} is {}, and its original shape {} has another number of elements",
           what, in_quotes(name), dims_to_string(tensor->second.dims), dims_to_string(dims));
    }
    tensor->second.dims = std::move(dims);
  }
  return header;
}

GgufFile::GgufFile(std::shared_ptr<const MappedFile> file)
    : file_(std::move(file)), header_(parse_gguf(file_->bytes(), file_->path().string())) {}

std::vector<std::string> GgufFile::names() const {
  std::vector<std::string> names;
  names.reserve(header_.tensors.size());
  for (const auto& [name, tensor] : header_.tensors) names.push_back(name);
  return names;
}

std::optional<CheckpointTensor> GgufFile::find(std::string_view name) const {
  const auto at = header_.tensors.find(name);
  if (at == header_.tensors.end()) return std::nullopt;
  const GgufTensor& stored = at->second;
  const std::span<const std::byte> bytes = file_->bytes().subspan(stored.begin, stored.end - stored.begin);
  const auto release = [file = file_.get()](std::span<const std::byte> range) { file->release(range); };
  CheckpointTensor tensor{stored.dtype, stored.dims, {}};
  tensor.blocks = stored.blocks;
  if (stored.blocks == nullptr) {
    tensor.reader = std::make_shared<StoredElements>(stored.dtype, bytes, file_, release);
  } else {
    tensor.reader = std::make_shared<BlockElements>(*stored.blocks, bytes, file_, release);
  }
  return tensor;
}

std::string GgufFile::origin(std::string_view name) const {
  return fmt::format("{} in '{}'", in_quotes(name), file_->path().string());
}

}  // namespace tempera
