#include "measure/random_quantised.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/half.h"
#include "base/parallel.h"

namespace tempera {
namespace {

constexpr size_t kBlockBytes = 144;

// d, d of the minima, then 8 scales and 8 minima that are all 32 in the layout of Q4_K, then 128 random bytes. A number
// of four bits has the mean 7.5 and the deviation 4.61.
void write_block(uint64_t seed, float deviation, std::byte* block) {
  constexpr float kScale = 32, kMean = 7.5f, kDeviation = 4.6097722f;
  const f16 d = to_f16(deviation / kDeviation / kScale), d_least = to_f16(kMean * deviation / kDeviation / kScale);
  std::memcpy(block, &d, sizeof d);
  std::memcpy(block + 2, &d_least, sizeof d_least);
  std::fill_n(block + 4, 8, std::byte{0xa0});
  std::fill_n(block + 12, 4, std::byte{0});
  for (size_t i = 16; i < kBlockBytes; i += sizeof seed) {
    const uint64_t bits = mix(seed + i);
    std::memcpy(block + i, &bits, sizeof bits);
  }
}
}  // namespace

void random_fp8(uint64_t stream, size_t begin, Spread spread, std::span<std::byte> out) {
  std::vector<float> values(out.size());
  random_values(stream, begin, spread, DType::f32, std::as_writable_bytes(std::span(values)));
  convert(values.data(), DType::f32, out.data(), DType::f8_e4m3, values.size());
}

void random_q4_k(uint64_t stream, size_t begin, Spread spread, std::span<std::byte> out) {
  parallel_for(static_cast<int64_t>(out.size() / kBlockBytes), 64, [&](int64_t from, int64_t to) {
    for (auto i = static_cast<size_t>(from); i < static_cast<size_t>(to); ++i)
      write_block(mix(stream + begin + i), spread.deviation, &out[i * kBlockBytes]);
  });
}

}  // namespace tempera
