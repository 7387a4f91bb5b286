#include "weights/made.h"

#include <fmt/format.h>

namespace tempera {

std::vector<std::string> MadeCheckpoint::names() const {
  std::vector<std::string> names;
  names.reserve(tensors_.size());
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  return names;
}

std::optional<CheckpointTensor> MadeCheckpoint::find(std::string_view name) const {
  const auto at = tensors_.find(name);
  return at == tensors_.end() ? std::nullopt : std::optional(at->second);
}

std::string MadeCheckpoint::origin(std::string_view name) const {
  return fmt::format("{} of {}", in_quotes(name), what_);
}

}  // namespace tempera
