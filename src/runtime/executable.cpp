#include "runtime/executable.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/half.h"

namespace tempera {
namespace {

// The parts of a parameter in the checkpoint. Their shapes must match the graph.
std::vector<WeightPart> find_parts(const WeightSlot& slot, const Checkpoint& checkpoint) {
  std::vector<WeightPart> parts;
  int64_t rows = 0;
  for (const std::string& name : slot.source.names) {
    CheckpointTensor tensor = checkpoint.get(name);
    if (!can_convert(tensor.dtype))
      fail(ErrorCode::bad_file, "{} holds numbers of type {}: use a file with weights in float16, bfloat16 or float32",
           checkpoint.origin(name), tempera::name(tensor.dtype));
    const std::span<const int64_t> want = slot.desc.shape.dims();
    const bool fits =
        tensor.dims.size() == want.size() && std::equal(want.begin() + 1, want.end(), tensor.dims.begin() + 1);
    const bool whole = slot.source.names.size() > 1 || (fits && tensor.dims[0] == want[0]);
    if (!fits || !whole)
      fail(ErrorCode::bad_file, "{} is {}, expected {}: the file does not match the model's configuration",
           checkpoint.origin(name), dims_to_string(tensor.dims), to_string(slot.desc.shape));
    rows += tensor.dims[0];
    parts.push_back({std::move(tensor.reader), static_cast<size_t>(tensor.elements()), slot.source.factor});
  }
  if (rows != slot.desc.shape[0])
    fail(ErrorCode::bad_file,
         "{} and its siblings have {} rows, expected {}: the file does not match the model's configuration",
         checkpoint.origin(slot.source.names[0]), rows, slot.desc.shape[0]);
  return parts;
}

// Changes with the values of a parameter.
uint64_t revision_of(const WeightSlot& slot, const Checkpoint& checkpoint) {
  uint64_t revision = 0;
  for (const std::string& name : slot.source.names) revision = 31 * revision + checkpoint.get(name).revision;
  return revision;
}

}  // namespace

Executable::Executable(Program program, Backend& backend, Queue& queue, const Memory& memory,
                       const Checkpoint& checkpoint)
    : program_(std::move(program)), backend_(backend), queue_(queue), memory_(memory), checkpoint_(checkpoint) {
  if (!program_.segments.empty()) find_moves();
}

Executable::~Executable() {
  memory_.scratch.forget(*this);
}

void Executable::find_moves() {
  moves_.resize(program_.steps.size());
  for (uint32_t g = 0; g < program_.segments.size(); ++g) {
    const Segment& segment = program_.segments[g];
    moves_[segment.first].await.push_back(g);
    if (segment.after == Segment::kOnEntry) continue;
    moves_[segment.after].start.push_back(g);
    moves_in_body_ = moves_in_body_ || segment.first >= program_.prologue;
  }
  // The copies of this run are before those of the next run.
  for (size_t s = 0; s < moves_.size(); ++s)
    std::stable_partition(moves_[s].start.begin(), moves_[s].start.end(),
                          [&](uint32_t g) { return program_.segments[g].first > s; });
}

std::byte* Executable::address(const Ref& ref) const {
  switch (ref.space) {
    case Space::arena:
    case Space::stream:
      return memory_.scratch.data() + ref.offset;
    case Space::weights:
      return resident_.at(ref.offset);
    case Space::io:
      return memory_.io.data() + ref.offset;
    case Space::kept:
      return memory_.scratch.end(program_.memory.kept) + ref.offset;
  }
  return nullptr;
}

void Executable::load(const CheckCancelled& check) {
  State now{memory_.parameters.generation(), checkpoint_.revision(), memory_.scratch.data(),
            memory_.scratch.end(program_.memory.kept), memory_.io.data()};
  if (now == loaded_) return;
  if (loaded_ && loaded_->revision != now.revision) memory_.scratch.lose_kept();  // it depends on the old values
  loaded_.reset();
  TEMPERA_ASSERT(memory_.scratch.size() >= scratch_bytes(program_.memory, backend_.target().alignment));
  TEMPERA_ASSERT(memory_.io.size() >= program_.memory.io);
  pack_resident(check);
  if (!program_.segments.empty()) prepare_transfers(check);
  bind_steps();
  now.generation = memory_.parameters.generation();  // packing changed it
  loaded_ = now;
}

// A step keeps its launch if its addresses are the same. A recording is valid only if all are the same.
void Executable::bind_steps() {
  bindings_.resize(program_.steps.size());
  launches_.resize(program_.steps.size());
  bool bound_any = false;
  for (size_t s = 0; s < program_.steps.size(); ++s) {
    const Step& step = program_.steps[s];
    Binding binding;
    for (const Ref& input : step.inputs) binding.inputs.push_back(address(input));
    binding.output = address(step.output);
    binding.workspace = memory_.scratch.data() + step.workspace.offset;
    if (launches_[s] && binding == bindings_[s]) continue;
    if (!std::exchange(bound_any, true)) {
      // The search for an algorithm runs candidates on these addresses.
      memory_.scratch.enter(*this);
      memory_.scratch.lose_kept();
      recording_.reset();
      ran_ = false;
    }
    launches_[s] = backend_.kernels()[step.kernel].bind(problem_of(step), binding);
    bindings_[s] = std::move(binding);
  }
}

void Executable::pack(const WeightSlot& slot, std::span<const WeightPart> parts, std::byte* destination) const {
  const Step& step = program_.steps[slot.step];
  const Kernel& kernel = backend_.kernels()[step.kernel];
  if (kernel.pack) {
    kernel.pack(problem_of(step), static_cast<int>(slot.input), parts, destination);
  } else {
    pack_plain(slot.desc.dtype, parts, destination);
  }
}

void Executable::pack_resident(const CheckCancelled& check) {
  std::vector<std::byte> staging;
  for (const WeightSlot& slot : program_.weights) {
    if (slot.segment != WeightSlot::kResident) continue;
    if (check) check();
    resident_[slot.offset] = memory_.parameters.packed(
        checkpoint_, slot, revision_of(slot, checkpoint_),
        [&](std::byte* to) { pack(slot, find_parts(slot, checkpoint_), to); }, staging);
  }
  queue_.synchronize();
}

// All tensors are found first, so a missing tensor is an error before anything runs.
void Executable::prepare_transfers(const CheckCancelled& check) {
  std::vector<uint64_t> revisions;
  for (const Segment& segment : program_.segments)
    for (uint32_t w = 0; w < segment.weight_count; ++w)
      revisions.push_back(revision_of(program_.weights[segment.first_weight + w], checkpoint_));
  leave();
  std::byte* const scratch = memory_.scratch.data();
  if (transfers_ && revisions == revisions_) {
    if (transfers_to_ != scratch) transfers_->rebase(std::exchange(transfers_to_, scratch), scratch);
    return;
  }
  transfers_.reset();
  std::vector<Transfers::Item> items;
  for (const Segment& segment : program_.segments) {
    if (check) check();
    std::vector<std::vector<WeightPart>> parts;
    for (uint32_t w = 0; w < segment.weight_count; ++w)
      parts.push_back(find_parts(program_.weights[segment.first_weight + w], checkpoint_));
    const auto fill = [this, segment, parts = std::move(parts)](std::byte* host) {
      for (uint32_t w = 0; w < segment.weight_count; ++w) {
        const WeightSlot& slot = program_.weights[segment.first_weight + w];
        pack(slot, parts[w], host + (slot.offset - segment.offset));
      }
    };
    items.push_back({address({Space::stream, segment.offset, {}}), segment.bytes, fill});
  }
  transfers_ = backend_.make_transfers(queue_, std::move(items));
  transfers_->watch(watcher_ != nullptr);
  transfers_to_ = scratch;
  revisions_ = std::move(revisions);
}

void Executable::write_input(std::string_view name, DType dtype, std::span<const std::byte> bytes) {
  const Ref& ref = program_.input(name).ref;
  const auto elements = static_cast<size_t>(ref.desc.shape.elements());
  TEMPERA_ASSERT(bytes.size() == elements * size_of(dtype));
  if (dtype == ref.desc.dtype) return backend_.upload(queue_, address(ref), bytes);
  std::vector<std::byte> converted(ref.desc.bytes());
  convert(bytes.data(), dtype, converted.data(), ref.desc.dtype, elements);
  backend_.upload(queue_, address(ref), converted);
}

std::vector<std::byte> Executable::read(const Ref& ref) {
  std::vector<std::byte> bytes(ref.desc.bytes());
  backend_.download(queue_, bytes, address(ref));
  queue_.synchronize();
  return bytes;
}

void Executable::write(const Ref& ref, std::span<const std::byte> bytes) {
  TEMPERA_ASSERT(bytes.size() == ref.desc.bytes());
  backend_.upload(queue_, address(ref), bytes);
}

void Executable::read_output(std::string_view name, std::span<std::byte> bytes) {
  const Ref& ref = program_.output(name).ref;
  TEMPERA_ASSERT(bytes.size() == ref.desc.bytes());
  backend_.download(queue_, bytes, address(ref));
  queue_.synchronize();
}

std::vector<float> Executable::read_output(std::string_view name) {
  const TensorDesc& desc = program_.output(name).ref.desc;
  TEMPERA_ASSERT(desc.dtype == DType::f32);
  std::vector<float> values(static_cast<size_t>(desc.shape.elements()));
  read_output(name, std::as_writable_bytes(std::span(values)));
  return values;
}

void Executable::copy_input(std::string_view name, const DeviceRows& from) {
  const Ref& ref = program_.input(name).ref;
  TEMPERA_ASSERT(from.count * from.bytes == ref.desc.bytes());
  backend_.copy(queue_, address(ref), from);
}

void Executable::leave() {
  entered_ = false;  // also when it throws
  if (transfers_) transfers_->finish();
  tell_of_copies();
}

void Executable::watch(StepWatcher* watcher) {
  watcher_ = watcher;
  if (transfers_) transfers_->watch(watcher != nullptr);
}

void Executable::tell_of_copies() {
  if (watcher_ == nullptr || !transfers_) return;
  for (const Transfers::Copied& copy : transfers_->copied())
    watcher_->copied(program_, program_.segments[copy.item], copy.begin, copy.seconds);
}

void Executable::enter(size_t begin, size_t end) {
  if (!transfers_) return;
  for (uint32_t g = 0; g < program_.segments.size(); ++g) {
    const Segment& segment = program_.segments[g];
    if (segment.first >= begin && segment.first < end && segment.on_entry()) transfers_->start(g);
  }
}

// The parts of the program are streamed through the same space, so the parameters of the last part are lost.
void Executable::run_prologue(const CheckCancelled& check) {
  memory_.scratch.enter(*this);
  if (program_.memory.kept > 0) memory_.scratch.keep(*this);
  leave();
  enter(0, program_.prologue);
  run_steps(0, program_.prologue, check);
}

bool Executable::kept() const {
  return program_.memory.kept == 0 || memory_.scratch.keeps(*this);
}

void Executable::run(const CheckCancelled& check) {
  TEMPERA_ASSERT(kept());
  memory_.scratch.enter(*this);
  if (!entered_) {
    leave();  // also ends the copies of an interrupted run
    enter(program_.prologue, program_.steps.size());
  }
  const bool arrived = std::exchange(entered_, true);
  if (replay_ && watcher_ == nullptr && !moves_in_body_ && arrived && replayed(check)) return;
  try {
    run_steps(program_.prologue, program_.steps.size(), check);
  } catch (...) {
    entered_ = false;  // the space may hold any segments
    throw;
  }
  ran_ = true;
}

// The first run is not recorded. Devices and libraries do work that happens once (loading code), which a recording must
// not contain.
bool Executable::replayed(const CheckCancelled& check) {
  if (!recording_ && ran_) {
    recording_ = backend_.record(queue_, [&] {
      for (size_t s = program_.prologue; s < program_.steps.size(); ++s) launches_[s](queue_);
    });
  }
  if (!recording_) return false;
  if (check) check();
  recording_->replay(queue_);
  return true;
}

void Executable::run_steps(size_t begin, size_t end, const CheckCancelled& check) {
  if (watcher_ != nullptr) watcher_->begin(program_, begin);
  for (size_t s = begin; s < end; ++s) {
    if (check) check();
    if (transfers_ && !moves_[s].await.empty()) {
      for (const uint32_t g : moves_[s].await) transfers_->await(g);
      if (watcher_ != nullptr) watcher_->waits(s);
    }
    run_step(s);
    if (transfers_)
      for (const uint32_t g : moves_[s].start) transfers_->start(g);
    if (watcher_ != nullptr) watcher_->after(s);
  }
  if (watcher_ != nullptr) watcher_->end();
  tell_of_copies();
}

LoneExecutable::LoneExecutable(Program program, Backend& backend, Queue& queue, const Checkpoint& checkpoint)
    : scratch_(backend),
      io_(backend),
      parameters_(backend, queue),
      executable_(std::move(program), backend, queue, {scratch_, io_, parameters_}, checkpoint) {
  const MemoryReport& memory = executable_.program().memory;
  scratch_.reserve(scratch_bytes(memory, backend.target().alignment));
  io_.reserve(memory.io);
  const ParameterUse use{&checkpoint, &executable_.program()};
  parameters_.hold({&use, 1}, Parameters::Others::drop);
}

}  // namespace tempera
