#include "runtime/executable.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/half.h"

namespace tempera {
namespace {

Problem problem_of(const Step& step) {
  Problem p{step.op, {}, step.output.desc};
  for (const Ref& input : step.inputs) p.inputs.push_back(input.desc);
  return p;
}

// The parts of a parameter in the checkpoint, checked against what the graph wants.
std::vector<WeightPart> find_parts(const WeightSlot& slot, const Checkpoint& checkpoint) {
  std::vector<WeightPart> parts;
  int64_t rows = 0;
  for (const std::string& name : slot.source.names) {
    const TensorView view = checkpoint.get(name);
    if (!can_convert(view.dtype))
      fail(ErrorCode::bad_file, "{} holds numbers of type {}: use a file with weights in float16, bfloat16 or float32",
           checkpoint.origin(name), tempera::name(view.dtype));
    const std::span<const int64_t> want = slot.desc.shape.dims();
    const bool fits =
        view.dims.size() == want.size() && std::equal(want.begin() + 1, want.end(), view.dims.begin() + 1);
    const bool whole = slot.source.names.size() > 1 || (fits && view.dims[0] == want[0]);
    if (!fits || !whole)
      fail(ErrorCode::bad_file, "{} is {}, expected {}: the file does not match the model's configuration",
           checkpoint.origin(name), dims_to_string(view.dims), to_string(slot.desc.shape));
    rows += view.dims[0];
    parts.push_back(
        {view.dtype, view.bytes, [&checkpoint](auto bytes) { checkpoint.release(bytes); }, slot.source.factor});
  }
  if (rows != slot.desc.shape[0])
    fail(ErrorCode::bad_file,
         "{} and its siblings have {} rows, expected {}: the file does not match the model's configuration",
         checkpoint.origin(slot.source.names[0]), rows, slot.desc.shape[0]);
  return parts;
}

}  // namespace

Executable::Executable(Program program, Backend& backend, Queue& queue, Buffer& scratch, const LoadedWeights& earlier)
    : program_(std::move(program)), backend_(backend), queue_(queue), scratch_(scratch) {
  TEMPERA_ASSERT(scratch_.size() >= program_.memory.scratch());
  loaded_ = program_.segments.empty() && earlier.buffer != nullptr && same_packing(earlier.slots, program_.weights);
  weights_ = loaded_ ? earlier.buffer : std::shared_ptr<Buffer>(backend_.allocate(program_.memory.weights));
  io_ = backend_.allocate(program_.memory.io);
  launches_.reserve(program_.steps.size());
  for (const Step& step : program_.steps) {
    Binding binding;
    for (const Ref& input : step.inputs) binding.inputs.push_back(address(input));
    binding.output = address(step.output);
    binding.workspace = scratch_.data() + step.workspace.offset;
    launches_.push_back(backend_.kernels()[step.kernel].bind(problem_of(step), binding));
  }
  if (program_.segments.empty()) return;
  moves_.resize(program_.steps.size());
  for (uint32_t g = 0; g < program_.segments.size(); ++g) {
    const Segment& segment = program_.segments[g];
    moves_[segment.first].await.push_back(g);
    if (segment.after == Segment::kOnEntry) continue;
    moves_[segment.after].start.push_back(g);
    moves_in_body_ = moves_in_body_ || segment.first >= program_.prologue;
  }
  // What this run wants comes before what the next one wants.
  for (size_t s = 0; s < moves_.size(); ++s)
    std::stable_partition(moves_[s].start.begin(), moves_[s].start.end(),
                          [&](uint32_t g) { return program_.segments[g].first > s; });
}

Executable::~Executable() = default;

std::byte* Executable::address(const Ref& ref) const {
  switch (ref.space) {
    case Space::arena:
    case Space::stream:
      return scratch_.data() + ref.offset;
    case Space::weights:
      return weights_->data() + ref.offset;
    case Space::io:
      return io_->data() + ref.offset;
  }
  return nullptr;
}

void Executable::load(const Checkpoint& checkpoint, const CheckCancelled& check) {
  load_resident(checkpoint, check);
  if (!program_.segments.empty()) prepare_transfers(checkpoint, check);
  loaded_ = true;
}

void Executable::pack(const WeightSlot& slot, std::span<const WeightPart> parts, std::byte* destination) const {
  const Step& step = program_.steps[slot.step];
  const Kernel& kernel = backend_.kernels()[step.kernel];
  if (kernel.pack) {
    kernel.pack(problem_of(step), static_cast<int>(slot.input), parts, destination);
  } else {
    pack_plain(slot.desc.dtype, parts, destination);
  }
  for (const WeightPart& part : parts) part.done(part.bytes);
}

void Executable::load_resident(const Checkpoint& checkpoint, const CheckCancelled& check) {
  std::vector<std::byte> staging;
  for (const WeightSlot& slot : program_.weights) {
    if (slot.segment != WeightSlot::kResident) continue;
    if (check) check();
    const std::vector<WeightPart> parts = find_parts(slot, checkpoint);
    std::byte* const device = weights_->data() + slot.offset;
    if (backend_.host_visible()) {
      pack(slot, parts, device);
    } else {
      staging.resize(slot.bytes);
      pack(slot, parts, staging.data());
      backend_.upload(queue_, device, staging);
    }
  }
  queue_.synchronize();
}

// Every tensor is looked for now, so that a file that lacks one is found before anything runs.
void Executable::prepare_transfers(const Checkpoint& checkpoint, const CheckCancelled& check) {
  std::vector<Transfers::Item> items;
  for (const Segment& segment : program_.segments) {
    if (check) check();
    std::vector<std::vector<WeightPart>> parts;
    for (uint32_t w = 0; w < segment.weight_count; ++w)
      parts.push_back(find_parts(program_.weights[segment.first_weight + w], checkpoint));
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
  entered_ = false;
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

void Executable::copy_output(std::string_view name, size_t bytes, std::byte* to) {
  const Ref& ref = program_.output(name).ref;
  const auto rows = static_cast<size_t>(ref.desc.shape[0]);
  const size_t row = ref.desc.bytes() / rows;
  TEMPERA_ASSERT(bytes <= row);
  backend_.copy(queue_, to, {address(ref), rows, bytes, row});
}

bool Executable::draw_input(std::string_view name, int64_t first, const NormalDraw& draw) {
  const TensorDesc& desc = program_.input(name).ref.desc;
  TEMPERA_ASSERT(desc.dtype == DType::f32);
  TEMPERA_ASSERT(first + draw.channels * draw.pixels <= desc.shape.elements());
  std::byte* const to = address(program_.input(name).ref) + static_cast<size_t>(first) * sizeof(float);
  return backend_.draw_normal(queue_, to, draw);
}

void Executable::leave() {
  if (transfers_) transfers_->finish();
  tell_of_copies();
  entered_ = false;
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

// Parts of the program travel through the same space: what a part found there is gone.
void Executable::run_prologue(const CheckCancelled& check) {
  leave();
  enter(0, program_.prologue);
  run_steps(0, program_.prologue, check);
}

void Executable::run(const CheckCancelled& check) {
  if (!entered_) enter(program_.prologue, program_.steps.size());
  const bool arrived = std::exchange(entered_, true);
  if (replay_ && watcher_ == nullptr && !moves_in_body_ && arrived && replayed(check)) return;
  run_steps(program_.prologue, program_.steps.size(), check);
  ran_ = true;
}

// The first run is not recorded: what devices and libraries do once (loading code) must not happen in a recording.
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

}  // namespace tempera
