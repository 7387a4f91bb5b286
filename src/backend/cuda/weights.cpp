#include "backend/cuda/weights.h"

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

// Whether channels move. In a kernel of one pixel they are last already.
bool is_kernel(const Problem& p, int input) {
  const auto* op = std::get_if<Conv2d>(&p.op);
  return op != nullptr && input == 1 && op->kernel > 1;
}

template <class T>
void channels_last(const T* from, int64_t in, int64_t taps, T* to) {
  for (int64_t i = 0; i < in; ++i)
    for (int64_t tap = 0; tap < taps; ++tap) to[tap * in + i] = from[i * taps + tap];
}

// Rows (O) of one part after the other, each converted and transposed separately.
void pack_kernel(const TensorDesc& desc, std::span<const WeightPart> parts, std::byte* destination) {
  const int64_t in = desc.shape[1], taps = desc.shape[2] * desc.shape[3], row = in * taps;
  const size_t row_bytes = static_cast<size_t>(row) * size_of(desc.dtype);
  for (const WeightPart& part : parts) {
    const int64_t rows = static_cast<int64_t>(part.elements) / row;
    parallel_for(rows, 1, [&](int64_t begin, int64_t end) {
      std::vector<std::byte> converted(row_bytes);
      for (int64_t r = begin; r < end; ++r) {
        read(part, static_cast<size_t>(r * row), static_cast<size_t>(row), desc.dtype, converted.data());
        std::byte* to = destination + static_cast<size_t>(r) * row_bytes;
        if (desc.dtype == DType::f32) {
          channels_last(reinterpret_cast<const float*>(converted.data()), in, taps, reinterpret_cast<float*>(to));
        } else {
          channels_last(reinterpret_cast<const uint16_t*>(converted.data()), in, taps, reinterpret_cast<uint16_t*>(to));
        }
      }
    });
    part.reader->done(0, part.elements);
    destination += static_cast<size_t>(rows) * row_bytes;
  }
}

}  // namespace

KernelInfo::Packed cuda_packed(const Problem& p, int input) {
  const TensorDesc& desc = p.inputs[static_cast<size_t>(input)];
  if (is_bias(p, input))
    return {static_cast<size_t>(desc.shape.elements()) * size_of(p.output.dtype), std::string(name(p.output.dtype))};
  return {desc.bytes(), is_kernel(p, input) ? "channels last" : "plain"};
}

void cuda_pack(const Problem& p, int input, std::span<const WeightPart> parts, std::byte* destination) {
  const TensorDesc& desc = p.inputs[static_cast<size_t>(input)];
  if (is_kernel(p, input)) return pack_kernel(desc, parts, destination);
  pack_plain(is_bias(p, input) ? p.output.dtype : desc.dtype, parts, destination);
}

}  // namespace tempera
