#include "weights/adapt.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace tempera {
namespace {
// The largest known is (1280, 1280); a transposed tensor is held twice.
constexpr size_t kMaxTransposedBytes = size_t{64} << 20;

void squeeze(std::vector<int64_t>& dims) {
  while (dims.size() > 2 && dims.back() == 1) dims.pop_back();
}

bool is_third(Transform transform) {
  return transform >= Transform::third_0 && transform <= Transform::third_2;
}
}  // namespace

std::vector<int64_t> untransformed(Transform transform, std::vector<int64_t> dims) {
  if (transform == Transform::squeeze && dims.size() == 2) dims.insert(dims.end(), 2, 1);
  if (transform == Transform::transpose) std::reverse(dims.begin(), dims.end());
  if (is_third(transform)) dims.at(0) *= 3;
  return dims;
}

AdaptedCheckpoint::AdaptedCheckpoint(std::shared_ptr<const Checkpoint> below, Table table)
    : below_(std::move(below)), table_(std::move(table)) {
  const std::vector<std::string> present = below_->names();
  std::erase_if(table_,
                [&](const auto& row) { return !std::binary_search(present.begin(), present.end(), row.second.name); });
}

std::vector<std::string> AdaptedCheckpoint::names() const {
  std::vector<std::string> names;
  names.reserve(table_.size());
  for (const auto& [name, source] : table_) names.push_back(name);
  return names;
}

std::optional<TensorView> AdaptedCheckpoint::find(std::string_view name) const {
  const auto at = table_.find(name);
  if (at == table_.end()) return std::nullopt;
  const auto& [source, transform] = at->second;
  TensorView view = below_->get(source);
  if (transform == Transform::squeeze) squeeze(view.dims);
  if (is_third(transform)) {
    if (view.dims.empty() || view.dims[0] % 3 != 0) {
      fail(ErrorCode::bad_file, "the tensor {} of shape {} does not fall into three parts", below_->origin(source),
           dims_to_string(view.dims));
    }
    const size_t part = view.bytes.size() / 3;
    view.dims[0] /= 3;
    view.bytes =
        view.bytes.subspan(part * (static_cast<size_t>(transform) - static_cast<size_t>(Transform::third_0)), part);
  }
  return transform == Transform::transpose ? transposed(at->first, view) : view;
}

const TensorView& AdaptedCheckpoint::transposed(const std::string& name, const TensorView& view) const {
  const std::lock_guard lock(mutex_);
  const auto [at, is_new] = owned_.try_emplace(name);
  Owned& owned = at->second;
  if (!is_new && !owned.view.dims.empty()) return owned.view;
  if (view.dims.size() != 2 || view.bytes.size() > kMaxTransposedBytes) {
    fail(ErrorCode::bad_file, "the tensor {} of shape {} cannot be transposed: it must be a matrix of at most 64 MiB",
         below_->origin(table_.find(name)->second.name), dims_to_string(view.dims));
  }
  const auto rows = static_cast<size_t>(view.dims[0]);
  const auto columns = static_cast<size_t>(view.dims[1]);
  const size_t element = size_of(view.dtype);
  owned.bytes.resize(view.bytes.size());
  if (!owned.bytes.empty()) {
    for (size_t row = 0; row < rows; ++row) {
      for (size_t column = 0; column < columns; ++column) {
        std::memcpy(&owned.bytes[(column * rows + row) * element], &view.bytes[(row * columns + column) * element],
                    element);
      }
    }
  }
  below_->release(view.bytes);
  owned.view = {view.dtype, {view.dims[1], view.dims[0]}, owned.bytes};
  return owned.view;
}

void AdaptedCheckpoint::release(std::span<const std::byte> bytes) const noexcept {
  below_->release(bytes);  // which ignores ranges that are not its own, such as those of transposed tensors
}

std::string AdaptedCheckpoint::origin(std::string_view name) const {
  const auto at = table_.find(name);
  return below_->origin(at == table_.end() ? name : std::string_view(at->second.name));
}

}  // namespace tempera
