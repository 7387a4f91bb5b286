// Noise equal to PyTorch's, so that a seed gives the same picture: torch.randn of float32 from a torch.Generator on the
// CPU (Mersenne twister) or on a CUDA device (Philox counters).
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace tempera {

enum class Rng { cpu, cuda };

class Generator {
 public:
  virtual ~Generator() = default;
  // Normal values of mean 0 and variance 1. Successive calls continue the stream exactly as successive calls of
  // torch.randn with as many elements: two calls are not the same as one of twice the length.
  virtual void normal(std::span<float> out) = 0;
};

// The card whose noise `cuda` computes. PyTorch starts at most as many threads as can run at the same time, and thread
// t of n computes the elements t, t + n, ... So the card matters only for tensors longer than multiprocessors *
// threads_per_multiprocessor values (A100: 221,184; H100: 270,336; a latent of 1024 x 1024 pixels has 65,536).
struct CudaDevice {
  int multiprocessors = 132;              // an H100
  int threads_per_multiprocessor = 2048;  // 1536 on consumer cards of compute capability 8.6 and 8.9
};

// One draw of torch.randn on that card. The thread (0, 1, ...) computes the elements thread, thread + threads, ...,
// four of them from each of the 128-bit Philox counters (counter, thread), (counter + 1, thread), ...
struct PhiloxDraw {
  uint64_t seed = 0, counter = 0, threads = 0;
};

// The draws of a seed, one after the other. Rng::cuda and devices compute numbers from them.
class PhiloxStream {
 public:
  explicit PhiloxStream(uint64_t seed, CudaDevice device = {});
  // The next draw, of `elements` values.
  PhiloxDraw next(uint64_t elements);

 private:
  uint64_t seed_, max_threads_;
  uint64_t counter_ = 0;  // used counters of every thread
};

// As torch.Generator(device).manual_seed(seed). The CPU generator uses the low 32 bits of the seed only, as PyTorch's.
std::unique_ptr<Generator> make_generator(Rng rng, uint64_t seed, CudaDevice device = {});

}  // namespace tempera
