// Conv2d: one dot product over the input channels per output element and tap that lies inside the picture.
#include "backend/reference/epilogue.h"
#include "backend/reference/kernels.h"
#include "base/parallel.h"

namespace tempera::reference {
namespace {

// Sums over the k x k window whose top left corner is (top, left) of one picture.
template <class X, class W>
double window(const X* picture, const Shape& x, const W* w, int kernel, int64_t top, int64_t left) {
  const int64_t height = x[1], width = x[2], channels = x[3];
  double sum = 0;
  for (int64_t ky = 0; ky < kernel; ++ky) {
    for (int64_t kx = 0; kx < kernel; ++kx) {
      const int64_t row = top + ky, column = left + kx;
      if (row < 0 || row >= height || column < 0 || column >= width) continue;
      sum += dot(picture + (row * width + column) * channels, w + ky * kernel + kx, kernel * kernel, channels);
    }
  }
  return sum;
}

}  // namespace

void conv2d(const Problem& p, const Binding& b) {
  const auto& op = std::get<Conv2d>(p.op);
  const Shape &in = p.inputs[0].shape, &shape = p.output.shape;
  const int64_t filter = p.inputs[1].shape.elements() / shape[3], picture = in[1] * in[2] * in[3];
  const Epilogue epilogue(p, b, op.bias, op.activation, op.residual);
  const Result out = result(p, b);
  with_type(p.inputs[0].dtype, [&](auto x_type) {
    with_type(p.inputs[1].dtype, [&](auto w_type) {
      const auto* x = reinterpret_cast<decltype(x_type)>(b.inputs[0]);
      const auto* w = reinterpret_cast<decltype(w_type)>(b.inputs[1]);
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
    });
  });
}

}  // namespace tempera::reference
