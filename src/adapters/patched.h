// The checkpoint of a component with the changes of adapters. The list of changes can be replaced at any time: then the
// changed parameters have other revisions, and only they are packed again.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "adapters/change.h"

namespace tempera {

// The changes of one adapter to the parameters of one component.
struct AdapterChanges {
  std::map<std::string, std::shared_ptr<const Change>, std::less<>> by_parameter;  // canonical names
  uint64_t identity = 0;  // differs for adapters with other values
};

class PatchedCheckpoint final : public Checkpoint {
 public:
  struct Use {
    std::shared_ptr<const AdapterChanges> changes;
    float weight = 1;
  };

  explicit PatchedCheckpoint(std::shared_ptr<const Checkpoint> base);

  // Replaces the changes. They apply in this order, one over the other. A weight of 0 changes nothing. Readers that
  // were made before keep their changes.
  void set(std::vector<Use> uses);

  std::vector<std::string> names() const override { return base_->names(); }
  std::optional<CheckpointTensor> find(std::string_view name) const override;
  const std::map<std::string, std::string>& metadata() const override { return base_->metadata(); }
  uint64_t revision() const override;
  std::string origin(std::string_view name) const override { return base_->origin(name); }

 private:
  std::shared_ptr<const std::vector<Use>> uses() const;

  std::shared_ptr<const Checkpoint> base_;
  mutable std::mutex mutex_;
  std::shared_ptr<const std::vector<Use>> uses_;
};

}  // namespace tempera
