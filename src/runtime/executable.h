// A program bound to one backend's memory: every step has its addresses and is ready to launch. Loading takes time and
// memory; running allocates nothing.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "program/program.h"
#include "runtime/parameters.h"
#include "runtime/region.h"
#include "weights/checkpoint.h"

namespace tempera {

// Called between steps and between weights. Throws Error(cancelled) to stop.
using CheckCancelled = std::function<void()>;

// The memory of an executable, by role (Space). Its owner makes the regions large enough (MemoryReport) before the
// executable is loaded, and decides which executables share one.
struct Memory {
  // At its beginning: arena and stream. Values last for one run, so all programs of a device may share it. At its end:
  // results of a prologue. Other programs may run if their scratch memory does not reach them (Executable::kept).
  Region& scratch;
  Region& io;  // inputs and outputs; shared only by executables whose inputs are written before each run
  Parameters& parameters;
};

// Observes the steps of a run, for times and golden activations. Called between launches, before their work is
// complete.
class StepWatcher {
 public:
  virtual ~StepWatcher() = default;
  virtual void begin(const Program& program, size_t first_step) = 0;
  virtual void after(size_t step) = 0;
  virtual void end() = 0;
  // Called before a step that waits until its parameters have been copied.
  virtual void waits(size_t /*step*/) {}
  // A segment of the program's parameters has been copied. Called at the end of the run in which the copy finished, or
  // in leave().
  virtual void copied(const Program&, const Segment&, std::chrono::steady_clock::time_point /*begin*/,
                      double /*seconds*/) {}
};

class Executable {
 public:
  // The backend, the queue, the memory and the checkpoint must outlive the executable.
  Executable(Program program, Backend& backend, Queue& queue, const Memory& memory, const Checkpoint& checkpoint);
  ~Executable();
  Executable(const Executable&) = delete;
  Executable& operator=(const Executable&) = delete;

  // Makes the program ready to run. It packs the parameters that are not packed in their current revision, gives the
  // file's pages back, and binds the steps whose addresses changed. Call it again after a region,
  // Parameters::generation() or values in the checkpoint changed. It is fast if nothing changed. Parameters::hold()
  // must have named the program. Throws Error(bad_file) with the tensor when one is missing or has another shape. The
  // backend decides whether streamed parameters are read now or in every run.
  void load(const CheckCancelled& check = {});

  // Copies an input to the device and converts it from `dtype`. The size must match. Inputs of a finished program keep
  // their values.
  void write_input(std::string_view name, DType dtype, std::span<const std::byte> bytes);
  void write_input(std::string_view name, std::span<const float> values) {
    write_input(name, DType::f32, std::as_bytes(values));
  }
  // Copies an output from the device without conversion (waits for the queue).
  void read_output(std::string_view name, std::span<std::byte> bytes);
  std::vector<float> read_output(std::string_view name);  // must be f32

  // Device to device, ordered with the queue: copies rows into an input. Their bytes together are those of the input.
  void copy_input(std::string_view name, const DeviceRows& from);

  // The address of an input, for copies of parts of it that are ordered with the queue.
  std::byte* input_address(std::string_view name) const { return address(program_.input(name).ref); }

  // Waits for all work in the scratch memory. The next run copies streamed parameters again. Region calls it before
  // another executable uses the memory.
  void leave();

  // Computes the values that depend only on the request. Call it after its inputs changed, and when kept() is false.
  void run_prologue(const CheckCancelled& check = {});
  // Whether the results of the last prologue are still there. run() asserts it.
  bool kept() const;
  void run(const CheckCancelled& check = {});

  // If the backend can: record the steps, and from the second run on replay them with one call. Between the steps of a
  // replay nothing is checked.
  void set_replay(bool on) { replay_ = on; }

  // Sets the watcher; null for none. With a watcher, nothing is replayed. Reset it before the watcher is destroyed.
  void watch(StepWatcher* watcher);

  // For measuring and inspection: runs one step by itself; reads the values at a place of the program.
  void run_step(size_t step) { launches_[step](queue_); }
  std::vector<std::byte> read(const Ref& ref);  // waits for the queue
  void write(const Ref& ref, std::span<const std::byte> bytes);

  const Program& program() const { return program_; }

 private:
  std::byte* address(const Ref& ref) const;
  void pack_resident(const CheckCancelled& check);
  void prepare_transfers(const CheckCancelled& check);
  void pack(const WeightSlot& slot, std::span<const WeightPart> parts, std::byte* destination) const;
  void bind_steps();
  void find_moves();
  // Starts the transfers that are due before steps [begin, end).
  void enter(size_t begin, size_t end);
  void run_steps(size_t begin, size_t end, const CheckCancelled& check);
  void tell_of_copies();
  // Whether the run was a replay.
  bool replayed(const CheckCancelled& check);

  Program program_;
  Backend& backend_;
  Queue& queue_;
  Memory memory_;
  const Checkpoint& checkpoint_;
  // The state that load() depends on.
  struct State {
    uint64_t generation = 0, revision = 0;  // of the parameters' places; of the checkpoint's values
    const std::byte *scratch = nullptr, *kept = nullptr, *io = nullptr;
    bool operator==(const State&) const = default;
  };
  std::optional<State> loaded_;
  std::map<size_t, std::byte*> resident_;  // by offset in the weights space: the address of the parameter
  std::vector<Binding> bindings_;          // by step: the addresses of the launch
  std::vector<Launch> launches_;
  StepWatcher* watcher_ = nullptr;
  bool replay_ = false, ran_ = false;
  std::unique_ptr<Recording> recording_;
  std::unique_ptr<Transfers> transfers_;
  std::byte* transfers_to_ = nullptr;  // the scratch memory of the transfers
  std::vector<uint64_t> revisions_;    // of the streamed parameters, when the transfers were made
  bool entered_ = false;               // the body: its transfers have been started
  struct Moves {
    std::vector<uint32_t> await, start;  // segments: before the step, after it
  };
  std::vector<Moves> moves_;  // by step; empty without streamed parameters
  bool moves_in_body_ = false;
};

// A program that runs alone: with memory of its own for every role.
class LoneExecutable {
 public:
  LoneExecutable(Program program, Backend& backend, Queue& queue, const Checkpoint& checkpoint);

  Executable& operator*() { return executable_; }
  Executable* operator->() { return &executable_; }
  const Executable* operator->() const { return &executable_; }

 private:
  Region scratch_, io_;
  Parameters parameters_;
  Executable executable_;
};

}  // namespace tempera
