// For tests: runs one op on the reference backend, with numbers as inputs and output.
#pragma once

#include <cstring>
#include <random>
#include <vector>

#include "backend/reference/reference.h"
#include "base/error.h"
#include "base/half.h"

namespace tempera {

// A tensor on the host. Its constructor rounds the numbers to the dtype. i32 holds integers.
struct HostTensor {
  TensorDesc desc;
  std::vector<std::byte> bytes;

  HostTensor() = default;
  HostTensor(DType dtype, Shape shape, const std::vector<float>& values) : desc{dtype, shape}, bytes(desc.bytes()) {
    TEMPERA_ASSERT(static_cast<size_t>(shape.elements()) == values.size());
    if (dtype == DType::i32) {
      const std::vector<int32_t> whole(values.begin(), values.end());
      std::memcpy(bytes.data(), whole.data(), bytes.size());
    } else {
      convert(values.data(), DType::f32, bytes.data(), dtype, values.size());
    }
  }
  HostTensor(Shape shape, const std::vector<float>& values) : HostTensor(DType::f32, shape, values) {}

  std::vector<float> values() const {
    std::vector<float> out(static_cast<size_t>(desc.shape.elements()));
    convert(bytes.data(), desc.dtype, out.data(), DType::f32, out.size());
    return out;
  }
};

// Normal numbers, the same for the same seed.
inline HostTensor random_tensor(DType dtype, Shape shape, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(shape.elements()));
  for (float& v : values) v = normal(engine);
  return {dtype, shape, values};
}

inline const Kernel& kernel_for(const Backend& backend, const Op& op) {
  for (const Kernel& kernel : backend.kernels())
    if (kernel.info.op == kind_of(op)) return kernel;
  fail(ErrorCode::internal, "no kernel runs {}", to_string(op));
}

// With in_place the output is written over the first input.
inline HostTensor run_op(const Op& op, std::vector<HostTensor> inputs, bool in_place = false) {
  const auto backend = make_reference_backend();
  Problem problem{op, {}, {}};
  Binding binding;
  for (HostTensor& input : inputs) {
    problem.inputs.push_back(input.desc);
    binding.inputs.push_back(input.bytes.data());
  }
  problem.output = infer(op, problem.inputs);
  HostTensor out;
  out.desc = problem.output;
  out.bytes.assign(out.desc.bytes(), std::byte{0xff});
  binding.output = in_place ? inputs[0].bytes.data() : out.bytes.data();
  const Kernel& kernel = kernel_for(*backend, op);
  TEMPERA_ASSERT(!kernel.info.refuse(problem));
  const auto queue = backend->make_queue();
  kernel.bind(problem, binding)(*queue);
  if (in_place) out.bytes = inputs[0].bytes;
  return out;
}

}  // namespace tempera
