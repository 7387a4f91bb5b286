// Noise equal to PyTorch's, so that a seed gives the picture that it gives there: torch.randn of float32 from a
// torch.Generator on the CPU (Mersenne twister) or on a CUDA device (Philox counters).
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

// The card whose numbers `cuda` gives. PyTorch starts at most as many threads as run at once, and thread t of n makes
// the elements t, t + n, ...: so the card matters only for tensors longer than multiprocessors *
// threads_per_multiprocessor values (A100: 221,184; H100: 270,336; a latent of 1024 x 1024 pixels has 65,536).
struct CudaDevice {
  int multiprocessors = 132;              // an H100
  int threads_per_multiprocessor = 2048;  // 1536 on consumer cards of compute capability 8.6 and 8.9
};

// As torch.Generator(device).manual_seed(seed). The CPU generator uses the low 32 bits of the seed only, as PyTorch's.
std::unique_ptr<Generator> make_generator(Rng rng, uint64_t seed, CudaDevice device = {});

}  // namespace tempera
