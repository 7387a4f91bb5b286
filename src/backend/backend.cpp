#include "backend/backend.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/half.h"

namespace tempera {
namespace {

class HostStopwatch final : public Stopwatch {
 public:
  explicit HostStopwatch(size_t marks) : marks_(marks) {}
  void mark(Queue&, size_t index) override { marks_[index] = Clock::now(); }
  double seconds(size_t from, size_t to) override {
    return std::chrono::duration<double>(marks_[to] - marks_[from]).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> marks_;
};

}  // namespace

std::unique_ptr<Stopwatch> Backend::make_stopwatch(size_t marks) {
  return std::make_unique<HostStopwatch>(marks);
}

void read(const WeightPart& part, size_t first, size_t n, DType dtype, std::byte* destination) {
  const std::byte* from = part.bytes.data() + first * size_of(part.dtype);
  if (part.factor == 1) return convert(from, part.dtype, destination, dtype, n);
  std::array<float, 1024> values;
  for (size_t done = 0; done < n;) {
    const size_t count = std::min(values.size(), n - done);
    convert(from + done * size_of(part.dtype), part.dtype, values.data(), DType::f32, count);
    for (float& x : std::span(values).first(count)) x *= part.factor;
    convert(values.data(), DType::f32, destination + done * size_of(dtype), dtype, count);
    done += count;
  }
}

void pack_plain(DType dtype, std::span<const WeightPart> parts, std::byte* destination) {
  for (const WeightPart& part : parts) {
    const size_t all = part.bytes.size() / size_of(part.dtype), piece = static_cast<size_t>(kPackPiece);
    for (size_t at = 0; at < all; at += piece) {
      const size_t n = std::min(piece, all - at);
      read(part, at, n, dtype, destination);
      if (part.done) part.done(part.bytes.subspan(at * size_of(part.dtype), n * size_of(part.dtype)));
      destination += n * size_of(dtype);
    }
  }
}

}  // namespace tempera
