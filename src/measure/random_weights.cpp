#include "measure/random_weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace tempera {
namespace {

// How many rows there are to choose from where `ids` is read.
int64_t rows_behind(const Program& program, const Ref& ids) {
  int64_t rows = 0;
  const auto reads = [&](const Step& step, size_t input) {
    const Ref& ref = step.inputs[input];
    return ref.space == ids.space && ref.offset == ids.offset;
  };
  for (const Step& step : program.steps) {
    int64_t here = 0;
    if (kind_of(step.op) == OpKind::embed && reads(step, 0)) here = step.inputs[1].desc.shape[0];
    if (kind_of(step.op) == OpKind::gather_row && reads(step, 1)) here = step.inputs[0].desc.shape[1];
    if (here > 0) rows = rows == 0 ? here : std::min(rows, here);
  }
  return rows;
}

}  // namespace

RandomWeights::RandomWeights(const Program& program) {
  std::map<Key, size_t> sizes;
  for (const WeightSlot& slot : program.weights)
    for (const std::string& name : slot.source.names) {
      Tensor tensor{slot.desc.dtype, {slot.desc.shape.dims().begin(), slot.desc.shape.dims().end()}, {}};
      const auto parts = static_cast<int64_t>(slot.source.names.size());
      TEMPERA_ASSERT(tensor.dims[0] % parts == 0);  // what is stacked is of one shape
      tensor.dims[0] /= parts;
      tensor.block = {weight_spread(name, tensor.dims), tensor.dtype};
      size_t& size = sizes[tensor.block];
      size = std::max(size, slot.desc.bytes() / slot.source.names.size());
      tensors_.emplace(name, std::move(tensor));
    }
  for (const auto& [key, size] : sizes) {
    std::vector<std::byte>& block = blocks_[key];
    block.resize(size);
    random_values(mix(blocks_.size()), 0, key.first, key.second, block);
  }
}

std::vector<std::string> RandomWeights::names() const {
  std::vector<std::string> list;
  for (const auto& [name, tensor] : tensors_) list.push_back(name);
  return list;
}

std::optional<TensorView> RandomWeights::find(std::string_view name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) return std::nullopt;
  TensorView view{it->second.dtype, it->second.dims, {}};
  const size_t bytes = static_cast<size_t>(view.elements()) * size_of(view.dtype);
  view.bytes = std::span(blocks_.at(it->second.block)).first(bytes);
  return view;
}

std::string RandomWeights::origin(std::string_view name) const {
  return fmt::format("'{}' of random weights", name);
}

void write_random_inputs(Executable& executable) {
  const Program& program = executable.program();
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    const Ref& ref = program.inputs[i].ref;
    std::vector<std::byte> bytes(ref.desc.bytes());
    if (ref.desc.dtype == DType::i32) {
      const int64_t rows = std::max<int64_t>(1, rows_behind(program, ref));
      std::vector<int32_t> ids(static_cast<size_t>(ref.desc.shape.elements()));
      for (size_t k = 0; k < ids.size(); ++k) ids[k] = static_cast<int32_t>(mix(k) % static_cast<uint64_t>(rows));
      std::ranges::copy(std::as_bytes(std::span(ids)), bytes.begin());
    } else {
      random_values(mix(~i), 0, {0, 1}, ref.desc.dtype, bytes);
    }
    executable.write(ref, bytes);
  }
}

}  // namespace tempera
