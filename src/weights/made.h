// A checkpoint of tensors in memory, for measuring and for tests.
#pragma once

#include <map>
#include <string>

#include "weights/checkpoint.h"

namespace tempera {

class MadeCheckpoint : public Checkpoint {
 public:
  using Tensors = std::map<std::string, CheckpointTensor, std::less<>>;

  using Metadata = std::map<std::string, std::string>;

  // what: for origin(), "random weights".
  MadeCheckpoint(Tensors tensors, std::string what, Metadata metadata = {})
      : tensors_(std::move(tensors)), what_(std::move(what)), metadata_(std::move(metadata)) {}

  std::vector<std::string> names() const override;
  std::optional<CheckpointTensor> find(std::string_view name) const override;
  std::string origin(std::string_view name) const override;
  const Metadata& metadata() const override { return metadata_; }

 private:
  Tensors tensors_;
  std::string what_;
  Metadata metadata_;
};

}  // namespace tempera
