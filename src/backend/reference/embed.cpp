// Lookups (ids are checked before anything is read) and the sinusoidal embedding of numbers.
#include <cstring>

#include "backend/reference/kernels.h"
#include "backend/reference/numbers.h"
#include "base/error.h"
#include "base/parallel.h"

namespace tempera::reference {
namespace {

// The ids of input `input`, each in [0, limit).
const int32_t* checked_ids(const Problem& p, const Binding& b, size_t input, int64_t limit) {
  const auto* ids = reinterpret_cast<const int32_t*>(b.inputs[input]);
  for (int64_t i = 0; i < p.inputs[input].shape.elements(); ++i)
    if (ids[i] < 0 || ids[i] >= limit)
      fail(ErrorCode::internal, "internal error: {}: id {} at {} is not below {}", to_string(p.op), ids[i], i, limit);
  return ids;
}

}  // namespace

void embed(const Problem& p, const Binding& b) {
  const bool extra = std::get<Embed>(p.op).extra;
  const int64_t rows = p.inputs[1].shape[0];
  const int32_t* ids = checked_ids(p, b, 0, rows + (extra ? p.inputs[2].shape[0] : 0));
  const size_t row = static_cast<size_t>(p.output.shape[2]) * size_of(p.output.dtype);
  for (size_t i = 0; i < static_cast<size_t>(p.inputs[0].shape.elements()); ++i) {
    const bool in_table = ids[i] < rows;
    const std::byte* from = b.inputs[in_table ? 1 : 2];
    std::memcpy(b.output + i * row, from + static_cast<size_t>(in_table ? ids[i] : ids[i] - rows) * row, row);
  }
}

void gather_row(const Problem& p, const Binding& b) {
  const int64_t tokens = p.inputs[0].shape[1];
  const int32_t* ids = checked_ids(p, b, 1, tokens);
  const size_t row = static_cast<size_t>(p.output.shape[1]) * size_of(p.output.dtype);
  for (int64_t n = 0; n < p.output.shape[0]; ++n)
    std::memcpy(b.output + static_cast<size_t>(n) * row, b.inputs[0] + static_cast<size_t>(n * tokens + ids[n]) * row,
                row);
}

// Frequencies and angles are in float32 as in diffusers. At timestep 999, another rounding of an angle changes its sine
// by 3e-5.
void timestep_embedding(const Problem& p, const Binding& b) {
  const auto& op = std::get<TimestepEmbedding>(p.op);
  const int half = op.dim / 2;
  const auto* x = reinterpret_cast<const float*>(b.inputs[0]);
  auto* out = reinterpret_cast<float*>(b.output);
  const auto log_period = static_cast<float>(-std::log(10000.0));
  for (int64_t i = 0; i < p.inputs[0].shape.elements(); ++i) {
    for (int k = 0; k < half; ++k) {
      const float exponent = log_period * static_cast<float>(k) / (static_cast<float>(half) - op.freq_shift);
      const float angle = x[i] * static_cast<float>(std::exp(static_cast<double>(exponent)));
      const auto sine = static_cast<float>(std::sin(static_cast<double>(angle)));
      const auto cosine = static_cast<float>(std::cos(static_cast<double>(angle)));
      out[i * op.dim + k] = op.flip_sin_to_cos ? cosine : sine;
      out[i * op.dim + half + k] = op.flip_sin_to_cos ? sine : cosine;
    }
  }
}

}  // namespace tempera::reference
