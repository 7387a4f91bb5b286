// Conv2d: for each output element, one dot product over the input channels for each tap inside the picture.
#include <algorithm>

#include "backend/reference/epilogue.h"
#include "backend/reference/kernels.h"
#include "base/parallel.h"

namespace tempera::reference {
namespace {

// (O, I, k, k) to (O, k, k, I), so that the channels of a tap are neighbours.
void channels_last(const float* w, const Shape& shape, float* out) {
  const int64_t channels = shape[1], taps = shape[2] * shape[3];
  for (int64_t o = 0; o < shape[0]; ++o)
    for (int64_t tap = 0; tap < taps; ++tap)
      for (int64_t i = 0; i < channels; ++i) *out++ = w[(o * channels + i) * taps + tap];
}

// Sums over the k x k window whose top left corner is (top, left) of one picture.
double window(const float* picture, const Shape& x, const float* w, int kernel, int64_t top, int64_t left) {
  const int64_t height = x[1], width = x[2], channels = x[3];
  double sum = 0;
  for (int64_t ky = 0; ky < kernel; ++ky) {
    for (int64_t kx = 0; kx < kernel; ++kx) {
      const int64_t row = top + ky, column = left + kx;
      if (row < 0 || row >= height || column < 0 || column >= width) continue;
      sum += dot(picture + (row * width + column) * channels, w + (ky * kernel + kx) * channels, channels);
    }
  }
  return sum;
}

void run(const Problem& p, const Binding& b, const float* x, const float* w) {
  const auto& op = std::get<Conv2d>(p.op);
  Shape in = p.inputs[0].shape;
  in.set(3, p.inputs[1].shape[1]);  // with the tail
  const Shape& shape = p.output.shape;
  const int64_t filter = p.inputs[1].shape.elements() / shape[3], picture = in[1] * in[2] * in[3];
  const Epilogue epilogue(p, b, op.bias, op.activation, op.residual);
  const Result out = result(p, b);
  parallel_for(shape[3], 1, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o)
      for (int64_t pixel = 0; pixel < shape[0] * shape[1] * shape[2]; ++pixel) {
        const int64_t n = pixel / (shape[1] * shape[2]);
        const int64_t top = pixel / shape[2] % shape[1] * op.stride - op.pad_before;
        const int64_t left = pixel % shape[2] * op.stride - op.pad_before;
        const double sum = window(x + n * picture, in, w + o * filter, op.kernel, top, left);
        out.set(pixel * shape[3] + o, epilogue(sum, o, pixel * shape[3] + o));
      }
  });
}

// Each row of a followed by the same row of b.
void join(const float* a, int64_t a_width, const float* b, int64_t b_width, int64_t rows, float* out) {
  for (int64_t row = 0; row < rows; ++row) {
    out = std::copy_n(a + row * a_width, a_width, out);
    out = std::copy_n(b + row * b_width, b_width, out);
  }
}

Launch bind_with_tail(const Problem& p, const Binding& b) {
  const size_t tail = tail_input(std::get<Conv2d>(p.op));
  std::vector<float> joined(static_cast<size_t>(p.inputs[0].shape.rows() * p.inputs[1].shape[1]));
  return [=, x = Operand(p, b, 0), w = Operand(p, b, 1), t = Operand(p, b, tail),
          joined = std::move(joined)](Queue&) mutable {
    const Shape& shape = p.inputs[0].shape;
    join(x.load(), shape[3], t.load(), p.inputs[tail].shape[3], shape.rows(), joined.data());
    run(p, b, joined.data(), w.load());  // kernel of one pixel: the channels are last already
  };
}

}  // namespace

Launch bind_conv2d(const Problem& p, const Binding& b) {
  if (std::get<Conv2d>(p.op).tail) return bind_with_tail(p, b);
  std::vector<float> taps(static_cast<size_t>(p.inputs[1].shape.elements()));
  return [p, b, x = Operand(p, b, 0), w = Operand(p, b, 1), taps = std::move(taps)](Queue&) mutable {
    channels_last(w.load(), p.inputs[1].shape, taps.data());
    run(p, b, x.load(), taps.data());
  };
}

}  // namespace tempera::reference
