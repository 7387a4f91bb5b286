#include "backend/backend.h"

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

void pack_plain(DType dtype, std::span<const WeightPart> parts, std::byte* destination) {
  for (const WeightPart& part : parts) {
    const size_t all = part.bytes.size() / size_of(part.dtype), piece = static_cast<size_t>(kPackPiece);
    for (size_t at = 0; at < all; at += piece) {
      const size_t n = std::min(piece, all - at);
      const auto bytes = part.bytes.subspan(at * size_of(part.dtype), n * size_of(part.dtype));
      convert(bytes.data(), part.dtype, destination, dtype, n);
      if (part.done) part.done(bytes);
      destination += n * size_of(dtype);
    }
  }
}

}  // namespace tempera
