// GGUF files in memory for tests: every number can be wrong.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace tempera {

class GgufBytes {
 public:
  template <class T>
  GgufBytes& number(T value) {
    for (size_t i = 0; i < sizeof value; ++i) bytes_.push_back(static_cast<char>(value >> (8 * i) & 0xff));
    return *this;
  }
  GgufBytes& text(std::string_view value) {
    number<uint64_t>(value.size());
    bytes_ += value;
    return *this;
  }
  GgufBytes& start(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
    bytes_ += "GGUF";
    return number(version).number(tensors).number(keys);
  }
  GgufBytes& string_key(std::string_view key, std::string_view value) {
    return text(key).number<uint32_t>(8).text(value);
  }
  GgufBytes& u32_key(std::string_view key, uint32_t value) { return text(key).number<uint32_t>(4).number(value); }
  GgufBytes& i32_array_key(std::string_view key, std::initializer_list<int32_t> values) {
    text(key).number<uint32_t>(9).number<uint32_t>(5).number<uint64_t>(values.size());
    for (const int32_t value : values) number<uint32_t>(static_cast<uint32_t>(value));
    return *this;
  }
  // dims: innermost first, as in the file.
  GgufBytes& tensor(std::string_view name, std::initializer_list<uint64_t> dims, uint32_t type, uint64_t offset) {
    text(name).number<uint32_t>(static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) number(dim);
    return number(type).number(offset);
  }
  // Zeros up to a multiple of the alignment, then so many bytes of data.
  GgufBytes& data(size_t size, size_t alignment = 32, char value = 0) {
    bytes_.append((alignment - bytes_.size() % alignment) % alignment, '\0');
    bytes_.append(size, value);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace tempera
