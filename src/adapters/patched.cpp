#include "adapters/patched.h"

#include <bit>
#include <utility>

#include "base/mix.h"

namespace tempera {
namespace {

uint64_t with_change(uint64_t revision, const PatchedCheckpoint::Use& use) {
  return mixed(mixed(revision, use.changes->identity), std::bit_cast<uint32_t>(use.weight));
}

}  // namespace

PatchedCheckpoint::PatchedCheckpoint(std::shared_ptr<const Checkpoint> base)
    : base_(std::move(base)), uses_(std::make_shared<const std::vector<Use>>()) {}

void PatchedCheckpoint::set(std::vector<Use> uses) {
  std::erase_if(uses, [](const Use& use) { return use.weight == 0 || use.changes->by_parameter.empty(); });
  auto list = std::make_shared<const std::vector<Use>>(std::move(uses));
  const std::lock_guard lock(mutex_);
  uses_ = std::move(list);
}

std::shared_ptr<const std::vector<PatchedCheckpoint::Use>> PatchedCheckpoint::uses() const {
  const std::lock_guard lock(mutex_);
  return uses_;
}

std::optional<CheckpointTensor> PatchedCheckpoint::find(std::string_view name) const {
  std::optional<CheckpointTensor> tensor = base_->find(name);
  if (!tensor) return tensor;
  const auto uses = this->uses();  // keeps the list alive
  for (const Use& use : *uses) {
    const auto change = use.changes->by_parameter.find(name);
    if (change == use.changes->by_parameter.end()) continue;
    tensor->reader = change->second->over(std::move(tensor->reader), use.weight);
    tensor->revision = with_change(tensor->revision, use);
    tensor->dtype = DType::f32;
    tensor->blocks = nullptr;
  }
  return tensor;
}

uint64_t PatchedCheckpoint::revision() const {
  uint64_t revision = base_->revision();
  const auto uses = this->uses();
  for (const Use& use : *uses) revision = with_change(revision, use);
  return revision;
}

}  // namespace tempera
