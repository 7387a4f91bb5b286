// What the benchmarks of this folder share: the arithmetic ceiling of this machine at this moment (clocks move, so a
// share of the peak is only worth something when both were measured side by side), and tensors to feed kernels with.
#pragma once

#include <memory>
#include <new>
#include <vector>

#include "backend/backend.h"

namespace tempera::bench {

enum class PeakKind {
  f32,   // fused multiply-adds on the widest f32 vectors there are
  bf16,  // products of bf16 pairs (AVX-512 BF16); as f32 where the machine lacks them
};

// GFLOP/s of all threads together, multiply and add counted apart, measured for about `milliseconds`. 0 where neither
// AVX2 nor AVX-512 is there.
double measure_peak(PeakKind kind, double milliseconds);

// "AVX2 f32", "AVX-512 bf16", ...: what measure_peak(kind) runs here.
const char* peak_name(PeakKind kind);

// Seconds on the wall, or, with one thread, of processor time: on a machine that is busy with other work, one thread's
// processor time still says what the code can do.
double seconds();

// Seconds per call of `run`, called again and again for about a millisecond.
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

// Zeroed memory aligned as backends align it.
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

// The N of "--threads N", which is taken off the command line; thread_count() where it is not there.
int threads_from(int& argc, char** argv);

}  // namespace tempera::bench
