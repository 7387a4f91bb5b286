// Names and shapes of the tensors of a checkpoint, as the functions that infer a configuration read them.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "weights/checkpoint.h"

namespace tempera {

class Shapes {
 public:
  // Beyond any model; ends a count in a hostile file early.
  static constexpr int kMaxCount = 1000;

  // config_field: the field that gives what shapes do not show, for messages.
  explicit Shapes(const Checkpoint& tensors, std::string_view config_field = "model_config")
      : tensors_(tensors), names_(tensors.names()), config_field_(config_field) {}

  const Checkpoint& tensors() const { return tensors_; }
  const std::vector<std::string>& names() const { return names_; }
  std::string_view config_field() const { return config_field_; }
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

  // One more than the largest number after `prefix` in a name, at most `most`; 0 if there is none. So a list of which a
  // part is missing keeps its length, and the missing tensor is an error where it is read.
  int extent(const std::string& prefix, int most = kMaxCount) const {
    int extent = 0;
    for (auto at = std::ranges::lower_bound(names_, prefix); at != names_.end() && at->starts_with(prefix); ++at) {
      int number = 0;
      size_t i = prefix.size();
      while (i < at->size() && (*at)[i] >= '0' && (*at)[i] <= '9' && number < most)
        number = 10 * number + (*at)[i++] - '0';
      if (i > prefix.size()) extent = std::max(extent, std::min(number + 1, most));
    }
    return extent;
  }

 private:
  const Checkpoint& tensors_;
  std::vector<std::string> names_;
  std::string_view config_field_;
};

}  // namespace tempera
