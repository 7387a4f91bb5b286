// Device memory of an exact size between two fences of known bytes. The bytes are NaN in every floating-point dtype.
#pragma once

#include <vector>

#include "backend/backend.h"

namespace tempera {

class Fenced {
 public:
  // At an address with the alignment of the target, and if possible with no larger alignment.
  Fenced(Backend& backend, Queue& queue, size_t bytes)
      : backend_(backend),
        queue_(queue),
        bytes_(bytes),
        front_(5 * backend.target().alignment),
        buffer_(backend.allocate(front_ + bytes + kBack)) {
    backend_.upload(queue_, buffer_->data(), fence(front_ + bytes + kBack));
  }

  std::byte* data() { return buffer_->data() + front_; }
  void write(std::span<const std::byte> content) { backend_.upload(queue_, data(), content); }
  void poison(std::byte value) { write(std::vector<std::byte>(bytes_, value)); }
  std::vector<std::byte> read() { return read_at(front_, bytes_); }
  bool intact() {
    return read_at(0, front_) == fence(front_) && read_at(front_ + bytes_, kBack) == fence(kBack, front_ + bytes_);
  }

  // `count` bytes of the pattern from `begin` on: 16-bit words 0x7fc1 to 0x7ffe.
  static std::vector<std::byte> fence(size_t count, size_t begin = 0) {
    std::vector<std::byte> out(count);
    for (size_t i = 0; i < count; ++i) {
      const size_t at = begin + i;
      out[i] = at % 2 != 0 ? std::byte{0x7f} : static_cast<std::byte>(0xc1 + at / 2 % 0x3e);
    }
    return out;
  }

 private:
  static constexpr size_t kBack = 256;

  std::vector<std::byte> read_at(size_t begin, size_t count) {
    std::vector<std::byte> out(count);
    backend_.download(queue_, out, buffer_->data() + begin);
    return out;
  }

  Backend& backend_;
  Queue& queue_;
  size_t bytes_, front_;
  std::unique_ptr<Buffer> buffer_;
};

}  // namespace tempera
