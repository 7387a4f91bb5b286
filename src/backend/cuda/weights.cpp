#include "backend/cuda/weights.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"

namespace tempera {
namespace {

bool is_product(const Op& op) {
  const OpKind kind = kind_of(op);
  return kind == OpKind::conv2d || kind == OpKind::linear || kind == OpKind::geglu_linear;
}

bool is_bias(const Problem& p, int input) {
  return is_product(p.op) && input == 2 && p.inputs[2].shape.rank() == 1;
}

// Whether elements move. In a window of one pixel the channels are last already.
bool is_kernel(const Problem& p, int input) {
  const auto* op = std::get_if<Conv2d>(&p.op);
  return op != nullptr && input == 1 && (op->kernel > 1 || op->pad_before != op->pad_after);
}

// (I, k, k) to (window, window, I).
template <class T>
void channels_last(const T* from, int64_t in, int64_t kernel, const CudaWindow& window, T* to) {
  if (window.kernel != kernel) std::fill_n(to, in * window.kernel * window.kernel, T{});
  for (int64_t i = 0; i < in; ++i)
    for (int64_t y = 0; y < kernel; ++y)
      for (int64_t x = 0; x < kernel; ++x)
        to[((y + window.before) * window.kernel + x + window.before) * in + i] = from[(i * kernel + y) * kernel + x];
}

// Rows (O) of one part after the other, each converted and transposed separately.
void pack_kernel(const TensorDesc& desc, const CudaWindow& window, std::span<const WeightPart> parts,
                 std::byte* destination) {
  const int64_t in = desc.shape[1], kernel = desc.shape[2], row = in * kernel * kernel;
  const size_t row_bytes = static_cast<size_t>(row) * size_of(desc.dtype);
  const size_t window_bytes = static_cast<size_t>(in * window.kernel * window.kernel) * size_of(desc.dtype);
  for (const WeightPart& part : parts) {
    const int64_t rows = static_cast<int64_t>(part.elements) / row;
    parallel_for(rows, 1, [&](int64_t begin, int64_t end) {
      std::vector<std::byte> converted(row_bytes);
      for (int64_t r = begin; r < end; ++r) {
        read(part, static_cast<size_t>(r * row), static_cast<size_t>(row), desc.dtype, converted.data());
        std::byte* to = destination + static_cast<size_t>(r) * window_bytes;
        if (desc.dtype == DType::f32) {
          channels_last(reinterpret_cast<const float*>(converted.data()), in, kernel, window,
                        reinterpret_cast<float*>(to));
        } else {
          channels_last(reinterpret_cast<const uint16_t*>(converted.data()), in, kernel, window,
                        reinterpret_cast<uint16_t*>(to));
        }
      }
    });
    part.reader->done(0, part.elements);
    destination += static_cast<size_t>(rows) * window_bytes;
  }
}

}  // namespace

CudaWindow cuda_window(const Conv2d& op) {
  const int more = op.pad_after - op.pad_before;
  return {op.kernel + std::abs(more), std::max(op.pad_before, op.pad_after), std::max(more, 0)};
}

KernelInfo::Packed cuda_packed(const Problem& p, int input) {
  const TensorDesc& desc = p.inputs[static_cast<size_t>(input)];
  if (is_bias(p, input))
    return {static_cast<size_t>(desc.shape.elements()) * size_of(p.output.dtype), std::string(name(p.output.dtype))};
  if (!is_kernel(p, input)) return {desc.bytes(), "plain"};
  const CudaWindow window = cuda_window(std::get<Conv2d>(p.op));
  if (window.kernel == desc.shape[2]) return {desc.bytes(), "channels last"};
  const int64_t elements = desc.shape[0] * desc.shape[1] * window.kernel * window.kernel;
  return {static_cast<size_t>(elements) * size_of(desc.dtype),
          fmt::format("channels last, {} of {} after {}", desc.shape[2], window.kernel, window.before)};
}

void cuda_pack(const Problem& p, int input, std::span<const WeightPart> parts, std::byte* destination) {
  const TensorDesc& desc = p.inputs[static_cast<size_t>(input)];
  if (is_kernel(p, input)) return pack_kernel(desc, cuda_window(std::get<Conv2d>(p.op)), parts, destination);
  pack_plain(is_bias(p, input) ? p.output.dtype : desc.dtype, parts, destination);
}

}  // namespace tempera
