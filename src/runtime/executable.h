// A program bound to one backend's memory: every step has its addresses and is ready to launch. Binding and loading
// take time and memory; running allocates nothing.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "program/program.h"
#include "weights/checkpoint.h"

namespace tempera {

// Called between steps and weights; throws Error(cancelled) to stop.
using CheckCancelled = std::function<void()>;

// Packed parameters that outlive the program they were packed for.
struct LoadedWeights {
  std::shared_ptr<Buffer> buffer;
  std::vector<WeightSlot> slots;
};

// Sees the steps of a run go by: times, activation goldens. Called between launches, before their work is done.
class StepWatcher {
 public:
  virtual ~StepWatcher() = default;
  virtual void begin(const Program& program, size_t first_step) = 0;
  virtual void after(size_t step) = 0;
  virtual void end() = 0;
  // Between the steps before it and this one: what comes waits until its parameters are there.
  virtual void waits(size_t /*step*/) {}
  // A segment of the program's parameters came; told after a run that it was over by, or when the program is left.
  virtual void copied(const Program&, const Segment&, std::chrono::steady_clock::time_point /*begin*/,
                      double /*seconds*/) {}
};

class Executable {
 public:
  // `scratch` holds the program's arena and, behind it, the space that parameters travel through; programs that never
  // run at the same time may share one of the largest size (MemoryReport::scratch), see leave(). The backend, the queue
  // and the scratch must outlive the executable. Weights of an earlier program are taken over when they are packed just
  // as this one wants them; loaded() tells.
  Executable(Program program, Backend& backend, Queue& queue, Buffer& scratch, const LoadedWeights& earlier = {});

  ~Executable();

  // Reads every parameter, packs it for its kernel and gives the file's pages back. Throws Error(bad_file) naming the
  // tensor when one is missing or has another shape. Parameters that travel are read now or again and again while the
  // program runs, as the backend has it: the checkpoint must outlive the executable where there are any.
  void load(const Checkpoint& checkpoint, const CheckCancelled& check = {});

  bool loaded() const { return loaded_; }
  LoadedWeights weights() const { return loaded_ ? LoadedWeights{weights_, program_.weights} : LoadedWeights{}; }

  // Copies an input in, converting from `dtype`; size must match. Inputs of a finished program keep their values.
  void write_input(std::string_view name, DType dtype, std::span<const std::byte> bytes);
  void write_input(std::string_view name, std::span<const float> values) {
    write_input(name, DType::f32, std::as_bytes(values));
  }
  // Copies an output out as it is (waits for the queue).
  void read_output(std::string_view name, std::span<std::byte> bytes);
  std::vector<float> read_output(std::string_view name);  // must be f32

  // Device to device, ordered with the queue: rows into an input, as many bytes as it has; the first `bytes` of each of
  // an output's rows (its first dimension) to elsewhere, one behind the other.
  void copy_input(std::string_view name, const DeviceRows& from);
  void copy_output(std::string_view name, size_t bytes, std::byte* to);

  // Normal values into an f32 input, from the element `first` on, where the device makes them (Backend::draw_normal);
  // else false.
  bool draw_input(std::string_view name, int64_t first, const NormalDraw& draw);

  // Before another program uses the scratch memory: nothing is under way there when it returns, and what travels is
  // brought anew when this one runs again.
  void leave();

  // What depends on the request alone; call after its inputs changed.
  void run_prologue(const CheckCancelled& check = {});
  void run(const CheckCancelled& check = {});

  // From its second run on, record the steps and replay them with one call where the backend can. Between the steps of
  // a replay nothing is checked.
  void set_replay(bool on) { replay_ = on; }

  // While there is a watcher, nothing is replayed. Null: none; a watcher that goes must be replaced before.
  void watch(StepWatcher* watcher);

  // For measuring and looking inside: one step by itself, and what lies at a place of the program.
  void run_step(size_t step) { launches_[step](queue_); }
  std::vector<std::byte> read(const Ref& ref);  // waits for the queue
  void write(const Ref& ref, std::span<const std::byte> bytes);

  const Program& program() const { return program_; }

 private:
  std::byte* address(const Ref& ref) const;
  void load_resident(const Checkpoint& checkpoint, const CheckCancelled& check);
  void prepare_transfers(const Checkpoint& checkpoint, const CheckCancelled& check);
  void pack(const WeightSlot& slot, std::span<const WeightPart> parts, std::byte* destination) const;
  // Starts the transfers that entering steps [begin, end) asks for.
  void enter(size_t begin, size_t end);
  void run_steps(size_t begin, size_t end, const CheckCancelled& check);
  void tell_of_copies();
  // Whether the run was a replay.
  bool replayed(const CheckCancelled& check);

  Program program_;
  Backend& backend_;
  Queue& queue_;
  Buffer& scratch_;
  std::shared_ptr<Buffer> weights_;
  bool loaded_ = false;
  std::unique_ptr<Buffer> io_;
  std::vector<Launch> launches_;
  StepWatcher* watcher_ = nullptr;
  bool replay_ = false, ran_ = false;
  std::unique_ptr<Recording> recording_;
  std::unique_ptr<Transfers> transfers_;
  bool entered_ = false;  // the body: its transfers have been started
  struct Moves {
    std::vector<uint32_t> await, start;  // segments: before the step, after it
  };
  std::vector<Moves> moves_;  // by step; empty where nothing travels
  bool moves_in_body_ = false;
};

}  // namespace tempera
