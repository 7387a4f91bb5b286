// A program of random weights on a device, ready for measuring.
#pragma once

#include <memory>

#include "measure/random_weights.h"
#include "tempera/bench.h"

namespace tempera {

// The objects for measuring: a device, its queue, and two marks.
class BenchDevice {
 public:
  // record: put launches into recordings, if the device has them, as a generation does.
  BenchDevice(Backend& backend, bool record)
      : backend_(backend), queue_(backend.make_queue()), stopwatch_(backend.make_stopwatch(2)), record_(record) {}

  Backend& backend() { return backend_; }
  Queue& queue() { return *queue_; }

  // Launches the same work as `enqueue`. Every launch of it must have run before.
  std::function<void()> prepared(std::function<void()> enqueue);
  // Seconds on the device from the first to the last launch of `launch`.
  double time(const std::function<void()>& launch);

  // Several launches of one step are timed together, so many that the resolution of the clock and the start are
  // negligible.
  struct Series {
    std::function<void()> launch;
    int times = 1;
  };
  Series series(Executable& executable, size_t step);
  // Seconds of one of them.
  double time(const Series& series) { return time(series.launch) / series.times; }

 private:
  Backend& backend_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Stopwatch> stopwatch_;
  bool record_;
};

class BoundProgram {
 public:
  BoundProgram(const Program& program, BenchDevice& device, const CheckCancelled& check = {})
      : weights_(program), executable_(program, device.backend(), device.queue(), weights_) {
    executable_->load(check);
    write_random_inputs(*executable_);
  }

  const Program& program() const { return executable_->program(); }
  Executable& operator*() { return *executable_; }
  Executable* operator->() { return &*executable_; }

 private:
  RandomWeights weights_;
  LoneExecutable executable_;
};

// The device's best for linear layers in each of `dtypes`, and for plain passes over memory.
Ceilings measure_ceilings(BenchDevice& device, const std::vector<DType>& dtypes, const CheckCancelled& check);

}  // namespace tempera
