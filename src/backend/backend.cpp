#include "backend/backend.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/half.h"
#include "base/parallel.h"

namespace tempera {
namespace {

// Elements, so that starting a thread costs less than it saves.
constexpr int64_t kLeastOfAThread = int64_t{1} << 16;

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

void read_block(const WeightPart& part, const ElementBlock& block, DType to, std::byte* destination, size_t pitch) {
  if (part.factor == 1) return part.reader->read_block(block, to, destination, pitch);
  std::array<float, 1024> values;
  for (size_t r = 0; r < block.rows; ++r)
    for (size_t at = 0; at < block.columns; at += values.size()) {
      const auto some = std::span(values).first(std::min(values.size(), block.columns - at));
      part.reader->read(block.first + r * block.stride + at, some.size(), DType::f32,
                        std::as_writable_bytes(some).data());
      for (float& x : some) x *= part.factor;
      convert(some.data(), DType::f32, destination + r * pitch + at * size_of(to), to, some.size());
    }
}

void read(const WeightPart& part, size_t first, size_t n, DType to, std::byte* destination) {
  read_block(part, {first, 1, n, n}, to, destination, 0);
}

// Readers may compute elements (adapters), so all threads read a piece.
void pack_plain(DType dtype, std::span<const WeightPart> parts, std::byte* destination) {
  const auto piece = static_cast<size_t>(kPackPiece);
  for (const WeightPart& part : parts)
    for (size_t at = 0; at < part.elements; at += piece) {
      const size_t n = std::min(piece, part.elements - at);
      parallel_for(static_cast<int64_t>(n), kLeastOfAThread, [&](int64_t begin, int64_t end) {
        const auto first = static_cast<size_t>(begin);
        read(part, at + first, static_cast<size_t>(end) - first, dtype, destination + first * size_of(dtype));
      });
      part.reader->done(at, n);
      destination += n * size_of(dtype);
    }
}

}  // namespace tempera
