#include "measure/random_values.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/half.h"
#include "base/parallel.h"

namespace tempera {

Spread weight_spread(const std::string& name, const std::vector<int64_t>& dims) {
  if (dims.size() > 1) {
    double inputs = 1;
    for (size_t i = 1; i < dims.size(); ++i) inputs *= static_cast<double>(dims[i]);
    return {0, static_cast<float>(1 / std::sqrt(inputs))};
  }
  const bool scale = name.ends_with("weight");
  return scale ? Spread{1, 0.05f} : Spread{0, 0.02f};
}

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

void random_values(uint64_t stream, size_t begin, Spread spread, DType dtype, std::span<std::byte> out) {
  const size_t elements = out.size() / size_of(dtype);
  parallel_for(static_cast<int64_t>(elements), 1 << 14, [&](int64_t from, int64_t to) {
    std::array<float, 1024> values;
    const auto last = static_cast<size_t>(to);
    for (auto i = static_cast<size_t>(from); i < last; i += values.size()) {
      const size_t n = std::min(values.size(), last - i);
      for (size_t k = 0; k < n; ++k) {
        // The sum of two uniform numbers has variance 1/6: a triangle is close enough to a bell.
        const uint64_t bits = mix(stream + begin + i + k);
        const float sum =
            static_cast<float>(bits >> 40) * 0x1p-24f + static_cast<float>((bits >> 16) & 0xffffff) * 0x1p-24f - 1;
        values[k] = spread.mean + spread.deviation * 2.4494897f * sum;
      }
      convert(values.data(), DType::f32, &out[i * size_of(dtype)], dtype, n);
    }
  });
}

}  // namespace tempera
