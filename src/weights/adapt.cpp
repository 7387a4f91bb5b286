#include "weights/adapt.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "weights/transposed.h"

namespace tempera {
namespace {
// The elements of a tensor from one of them on.
class ElementRange final : public ElementReader {
 public:
  ElementRange(std::shared_ptr<const ElementReader> below, size_t begin) : below_(std::move(below)), begin_(begin) {}

  void read_block(const ElementBlock& block, DType to, std::byte* destination, size_t pitch) const override {
    below_->read_block({begin_ + block.first, block.rows, block.columns, block.stride}, to, destination, pitch);
  }
  void done(size_t first, size_t n) const noexcept override { below_->done(begin_ + first, n); }

 private:
  std::shared_ptr<const ElementReader> below_;
  size_t begin_;
};

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

std::vector<std::string> AdaptedCheckpoint::names() const {
  std::vector<std::string> names;
  names.reserve(table_.size());
  for (const auto& [name, source] : table_) names.push_back(name);
  return names;
}

std::optional<CheckpointTensor> AdaptedCheckpoint::find(std::string_view name) const {
  const auto at = table_.find(name);
  if (at == table_.end()) return std::nullopt;
  const auto& [source, transform] = at->second;
  CheckpointTensor tensor = below_->get(source);
  if (transform == Transform::squeeze) squeeze(tensor.dims);
  if (is_third(transform)) {
    if (tensor.dims.empty() || tensor.dims[0] % 3 != 0) {
      fail(ErrorCode::bad_file, "the tensor {} of shape {} does not fall into three parts", below_->origin(source),
           dims_to_string(tensor.dims));
    }
    tensor.dims[0] /= 3;
    const size_t third = static_cast<size_t>(transform) - static_cast<size_t>(Transform::third_0);
    tensor.reader =
        std::make_shared<ElementRange>(std::move(tensor.reader), third * static_cast<size_t>(tensor.elements()));
  }
  if (transform == Transform::transpose) {
    if (tensor.dims.size() != 2) {
      fail(ErrorCode::bad_file, "the tensor {} of shape {} cannot be transposed: it must be a matrix",
           below_->origin(source), dims_to_string(tensor.dims));
    }
    tensor.reader = std::make_shared<TransposedElements>(std::move(tensor.reader), static_cast<size_t>(tensor.dims[0]),
                                                         static_cast<size_t>(tensor.dims[1]));
    std::swap(tensor.dims[0], tensor.dims[1]);
  }
  return tensor;
}

std::string AdaptedCheckpoint::origin(std::string_view name) const {
  const auto at = table_.find(name);
  return below_->origin(at == table_.end() ? name : std::string_view(at->second.name));
}

}  // namespace tempera
