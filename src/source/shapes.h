// Names and shapes of the tensors of a checkpoint, as the functions that infer a configuration read them.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "weights/checkpoint.h"

namespace tempera {

class Shapes {
 public:
  // Beyond any model; ends a count in a hostile file early.
  static constexpr int kMaxCount = 1000;

  explicit Shapes(const Checkpoint& tensors) : tensors_(tensors), names_(tensors.names()) {}

  const std::vector<std::string>& names() const { return names_; }
  bool has(const std::string& name) const { return std::binary_search(names_.begin(), names_.end(), name); }
  int rank(const std::string& name) const { return static_cast<int>(tensors_.get(name).dims.size()); }

  // A dimension, as a number of things that there can be. Throws Error(bad_file) for other numbers.
  int dim(const std::string& name, size_t index) const {
    constexpr int kMaxDim = 1 << 24;
    const CheckpointTensor tensor = tensors_.get(name);
    if (index >= tensor.dims.size() || tensor.dims[index] < 1 || tensor.dims[index] > kMaxDim) refuse(name);
    return static_cast<int>(tensor.dims[index]);
  }
  [[noreturn]] void refuse(const std::string& name) const {
    fail(ErrorCode::bad_file, "the tensor {} has the shape {}, which no SDXL model has", tensors_.origin(name),
         dims_to_string(tensors_.get(name).dims));
  }

  // How many of name(0), name(1), ... there are, or `most`.
  template <class Name>
  int count(const Name& name, int most = kMaxCount) const {
    int n = 0;
    while (n < most && has(name(n))) ++n;
    return n;
  }

 private:
  const Checkpoint& tensors_;
  std::vector<std::string> names_;
};

}  // namespace tempera
