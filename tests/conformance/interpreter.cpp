#include "conformance/interpreter.h"

#include "base/error.h"
#include "conformance/fenced.h"
#include "support/counting_reader.h"

namespace tempera {

Interpreter::Interpreter(Backend& backend, const Program& program,
                         const std::map<std::string, SourceWeight::Part>& weights)
    : backend_(backend), program_(program), queue_(backend.make_queue()) {
  const auto take = [&](size_t bytes) {
    auto buffer = backend.allocate(std::max<size_t>(bytes, 1));
    backend.upload(*queue_, buffer->data(), Fenced::fence(bytes));
    return buffer;
  };
  const MemoryReport& m = program.memory;
  arena_ = take(m.arena), weights_ = take(m.weights), io_ = take(m.io), kept_ = take(m.kept);

  std::vector<Problem> problems;
  for (const Step& step : program.steps) {
    Problem problem{step.op, {}, step.output.desc};
    Binding binding{{}, address(step.output), arena_->data() + step.workspace.offset};
    for (const Ref& input : step.inputs) {
      problem.inputs.push_back(input.desc);
      binding.inputs.push_back(address(input));
    }
    launches_.push_back(backend.kernels()[step.kernel].bind(problem, binding));
    problems.push_back(std::move(problem));
  }
  for (const WeightSlot& slot : program.weights) {
    std::vector<WeightPart> parts;
    for (const std::string& name : slot.source.names)
      parts.push_back(stored_part(weights.at(name).dtype, weights.at(name).bytes, slot.source.factor));
    std::vector<std::byte> packed(slot.bytes);
    const Kernel& kernel = backend.kernels()[program.steps[slot.step].kernel];
    if (kernel.pack) {
      kernel.pack(problems[slot.step], static_cast<int>(slot.input), parts, packed.data());
    } else {
      pack_plain(slot.desc.dtype, parts, packed.data());
    }
    backend.upload(*queue_, weights_->data() + slot.offset, packed);
  }
}

std::byte* Interpreter::address(const Ref& ref) {
  TEMPERA_ASSERT(ref.space != Space::stream);
  Buffer& buffer = ref.space == Space::arena     ? *arena_
                   : ref.space == Space::weights ? *weights_
                   : ref.space == Space::kept    ? *kept_
                                                 : *io_;
  return buffer.data() + ref.offset;
}

void Interpreter::set_input(std::string_view name, std::span<const std::byte> bytes) {
  const IoSlot& slot = program_.input(name);
  TEMPERA_ASSERT(bytes.size() == slot.ref.desc.bytes());
  backend_.upload(*queue_, address(slot.ref), bytes);
}

std::vector<std::byte> Interpreter::output(std::string_view name) {
  const IoSlot& slot = program_.output(name);
  std::vector<std::byte> bytes(slot.ref.desc.bytes());
  backend_.download(*queue_, bytes, address(slot.ref));
  return bytes;
}

void Interpreter::run(size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) launches_[i](*queue_);
  queue_->synchronize();
}

}  // namespace tempera
