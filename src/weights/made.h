// A checkpoint of tensors in memory, for measuring and for tests.
#pragma once

#include <map>
#include <string>

#include "weights/checkpoint.h"

namespace tempera {

class MadeCheckpoint : public Checkpoint {
 public:
  using Tensors = std::map<std::string, CheckpointTensor, std::less<>>;

  // what: for origin(), "random weights".
  MadeCheckpoint(Tensors tensors, std::string what) : tensors_(std::move(tensors)), what_(std::move(what)) {}

  std::vector<std::string> names() const override;
  std::optional<CheckpointTensor> find(std::string_view name) const override;
  std::string origin(std::string_view name) const override;

 private:
  Tensors tensors_;
  std::string what_;
};

}  // namespace tempera
