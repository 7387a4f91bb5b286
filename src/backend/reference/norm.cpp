// GroupNorm and LayerNorm: mean, then variance (biased), then the result. A group is read completely before any of it
// is written, so both may run in place.
#include "backend/reference/kernels.h"
#include "backend/reference/numbers.h"
#include "base/parallel.h"

namespace tempera::reference {
namespace {

struct Statistics {
  double mean = 0, inverse_deviation = 0;
};

// The statistics of the `count` numbers value(i).
template <class Value>
Statistics statistics(int64_t count, double eps, const Value& value) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < count; ++i) sum += value(i);
  const double mean = sum / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) squares += (value(i) - mean) * (value(i) - mean);
  return {mean, 1 / std::sqrt(squares / static_cast<double>(count) + eps)};
}

}  // namespace

void group_norm(const Problem& p, const Binding& b) {
  const auto& op = std::get<GroupNorm>(p.op);
  const Shape& shape = p.output.shape;
  const int64_t pixels = shape[1] * shape[2], channels = shape[3], width = channels / op.groups;
  const Numbers x = numbers(p, b, 0), gamma = numbers(p, b, 1), beta = numbers(p, b, 2);
  const Numbers shift = numbers(p, b, op.shift ? 3 : 0), tail = numbers(p, b, op.tail ? tail_input(op) : 0);
  const int64_t head = p.inputs[0].shape[3];  // channels of x; the others are in the tail
  const Result out = result(p, b);
  parallel_for(shape[0] * op.groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      const int64_t n = g / op.groups, first = g % op.groups * width;
      // Element i of the group: pixel i / width, channel i % width of the group.
      const auto index = [&](int64_t i) { return (n * pixels + i / width) * channels + first + i % width; };
      const auto value = [&](int64_t i) {
        const int64_t pixel = n * pixels + i / width, c = first + i % width;
        const double v = c < head ? x[pixel * head + c] : tail[pixel * (channels - head) + c - head];
        return op.shift ? round_to(p.inputs[0].dtype, v + shift[n * channels + c]) : v;
      };
      const Statistics s = statistics(pixels * width, static_cast<double>(op.eps), value);
      for (int64_t i = 0; i < pixels * width; ++i) {
        const int64_t c = first + i % width;
        const double y = round_to(p.output.dtype, (value(i) - s.mean) * s.inverse_deviation * gamma[c] + beta[c]);
        out.set(index(i), apply(op.activation, y));
      }
    }
  });
}

void layer_norm(const Problem& p, const Binding& b) {
  const auto& op = std::get<LayerNorm>(p.op);
  const int64_t channels = p.output.shape[-1];
  const Numbers x = numbers(p, b, 0), gamma = numbers(p, b, 1), beta = numbers(p, b, 2);
  const Result out = result(p, b);
  parallel_for(p.output.shape.rows(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const auto value = [&](int64_t i) { return x[row * channels + i]; };
      const Statistics s = statistics(channels, static_cast<double>(op.eps), value);
      for (int64_t c = 0; c < channels; ++c)
        out.set(row * channels + c, (value(c) - s.mean) * s.inverse_deviation * gamma[c] + beta[c]);
    }
  });
}

}  // namespace tempera::reference
