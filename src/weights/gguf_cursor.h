// A position in a GGUF file. Every read is checked against the bytes that remain.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "base/error.h"

namespace tempera {

// All functions throw Error(bad_file, "'<what>' ..."). `part` and `things` are names for messages.
class GgufCursor {
 public:
  GgufCursor(std::span<const std::byte> bytes, std::string_view what) : bytes_(bytes), what_(what) {}

  size_t position() const { return at_; }
  uint64_t remaining() const { return bytes_.size() - at_; }
  std::string_view what() const { return what_; }

  std::span<const std::byte> take(uint64_t count, std::string_view part) {
    if (count > remaining()) {
      fail(ErrorCode::bad_file, "'{}' is truncated: {} needs {} bytes and {} remain; get the file again", what_, part,
           count, remaining());
    }
    const auto piece = bytes_.subspan(at_, count);
    at_ += count;
    return piece;
  }

  template <class T>
  T number(std::string_view part) {
    T value;
    std::memcpy(&value, take(sizeof value, part).data(), sizeof value);
    return value;
  }

  std::string_view text(std::string_view part) {
    const auto bytes = take(number<uint64_t>(part), part);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  // The name of a key or of a tensor. The format allows names of tensors of 64 bytes; longer ones occur.
  std::string_view name(std::string_view part) {
    constexpr size_t kLongest = 65535;  // the format's limit of keys
    const std::string_view name = text(part);
    if (name.empty() || name.size() > kLongest) {
      fail(ErrorCode::bad_file, "'{}': {} has {} bytes, must have 1 to {}", what_, part, name.size(), kLongest);
    }
    return name;
  }

  // A count of things of at least `least` bytes each.
  uint64_t count(uint64_t count, uint64_t least, std::string_view things) const {
    if (count > remaining() / least) {
      fail(ErrorCode::bad_file, "'{}' is damaged or truncated: it has {} bytes left for {} {}; get the file again",
           what_, remaining(), count, things);
    }
    return count;
  }

 private:
  std::span<const std::byte> bytes_;
  std::string_view what_;
  size_t at_ = 0;
};

}  // namespace tempera
