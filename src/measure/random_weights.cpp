#include "measure/random_weights.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "measure/random_values.h"

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
    if (kind_of(step.op) == OpKind::embed && reads(step, 0))
      for (size_t i = 1; i < step.inputs.size(); ++i) here += step.inputs[i].desc.shape[0];
    if (kind_of(step.op) == OpKind::gather_row && reads(step, 1)) here = step.inputs[0].desc.shape[1];
    if (here > 0) rows = rows == 0 ? here : std::min(rows, here);
  }
  return rows;
}

MadeCheckpoint::Tensors random_tensors(const Program& program) {
  using Kind = std::pair<Spread, DType>;
  const auto kind_of_values = [](const std::string& name, const CheckpointTensor& tensor) {
    return Kind{weight_spread(name, tensor.dims), tensor.dtype};
  };
  MadeCheckpoint::Tensors tensors;
  std::map<Kind, uint64_t> sizes;
  for (const WeightSlot& slot : program.weights)
    for (const std::string& name : slot.source.names) {
      CheckpointTensor tensor{slot.desc.dtype, {slot.desc.shape.dims().begin(), slot.desc.shape.dims().end()}, {}};
      const auto parts = static_cast<int64_t>(slot.source.names.size());
      TEMPERA_ASSERT(tensor.dims[0] % parts == 0);  // stacked parts have one shape
      tensor.dims[0] /= parts;
      uint64_t& size = sizes[kind_of_values(name, tensor)];
      size = std::max(size, tensor.stored_bytes());
      tensors.emplace(name, std::move(tensor));
    }
  std::map<Kind, std::shared_ptr<const ElementReader>> values;
  for (const auto& [kind, size] : sizes) {
    const auto bytes = std::make_shared<std::vector<std::byte>>(size);
    random_values(mix(values.size() + 1), 0, kind.first, kind.second, *bytes);
    values[kind] = std::make_shared<StoredElements>(kind.second, *bytes, bytes);
  }
  for (auto& [name, tensor] : tensors) tensor.reader = values.at(kind_of_values(name, tensor));
  return tensors;
}

}  // namespace

RandomWeights::RandomWeights(const Program& program) : MadeCheckpoint(random_tensors(program), "random weights") {}

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
