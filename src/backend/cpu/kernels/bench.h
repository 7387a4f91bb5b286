// The shared part of the benchmarks of this folder: the peak rate of this machine at this moment, and tensors as
// inputs. Clocks change, so a share of the peak is valid only if both were measured at nearly the same time.
#pragma once

#include <memory>
#include <new>
#include <vector>

#include "backend/backend.h"

namespace tempera::bench {

enum class PeakKind {
  f32,   // fused multiply-adds on the widest f32 vectors of the machine
  bf16,  // products of bf16 pairs (AVX-512 BF16); f32 if the machine has none
};

// GFLOP/s of all threads together, with multiply and add counted separately, measured for about `milliseconds`. 0
// without AVX2 and AVX-512.
double measure_peak(PeakKind kind, double milliseconds);

// "AVX2 f32", "AVX-512 bf16", ...: the instructions of measure_peak(kind) on this machine.
const char* peak_name(PeakKind kind);

// Wall-clock seconds, or, with one thread, seconds of processor time. Processor time of one thread is meaningful even
// if the machine is busy with other work.
double seconds();

// Seconds per call of `run`, called repeatedly for about a millisecond.
template <class Run>
double time(const Run& run) {
  const double begin = seconds();
  double elapsed = 0;
  int calls = 0;
  for (; elapsed < 1e-3; ++calls) {
    run();
    elapsed = seconds() - begin;
  }
  return elapsed / calls;
}

double median(std::vector<double> values);

// Zeroed memory with the alignment of backends.
class Bytes {
 public:
  explicit Bytes(size_t size) : data_(new (std::align_val_t{64}) std::byte[size]{}) {}
  ~Bytes() { ::operator delete[](data_, std::align_val_t{64}); }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  std::byte* data() { return data_; }

 private:
  std::byte* data_;
};

// Numbers between -1 and 1.
std::unique_ptr<Bytes> random_tensor(const TensorDesc& desc);

// The N of "--threads N", which is removed from the command line; without it, thread_count().
int threads_from(int& argc, char** argv);

}  // namespace tempera::bench
