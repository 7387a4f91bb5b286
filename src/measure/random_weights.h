// A program without a model: weights and inputs of random values, so that kernels can be measured without any file.
#pragma once

#include <map>

#include "measure/random_values.h"
#include "program/program.h"
#include "runtime/executable.h"
#include "weights/checkpoint.h"

namespace tempera {

// Every weight of a program. Those of equal spread and dtype are views of the same values: a model's worth of random
// numbers would take longer to make than to measure with.
class RandomWeights final : public Checkpoint {
 public:
  explicit RandomWeights(const Program& program);

  std::vector<std::string> names() const override;
  std::optional<TensorView> find(std::string_view name) const override;
  void release(std::span<const std::byte>) const noexcept override {}
  std::string origin(std::string_view name) const override;

 private:
  using Key = std::pair<Spread, DType>;
  struct Tensor {
    DType dtype;
    std::vector<int64_t> dims;
    Key block;
  };
  std::map<std::string, Tensor, std::less<>> tensors_;
  std::map<Key, std::vector<std::byte>> blocks_;
};

// Writes every input: floating-point ones with deviation 1, indices within what they point into.
void write_random_inputs(Executable& executable);

}  // namespace tempera
