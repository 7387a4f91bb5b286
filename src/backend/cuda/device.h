// The card: its properties, its errors, its memory and its stream.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/error.h"

namespace tempera::cuda {

// Throws Error when a call of the CUDA runtime failed: "CUDA: cudaMalloc failed: out of memory".
void check(cudaError_t status, const char* call);

struct Card {
  std::string name;  // "NVIDIA H100 80GB HBM3"
  int major = 0, minor = 0, multiprocessors = 0;
  size_t memory = 0;
};

// The only architecture of the kernels named hopper_.
inline bool is_hopper(const Card& card) {
  return card.major == 9 && card.minor == 0;
}

// The reason why nothing of this build runs on the card: its architecture, and the architecture to build with.
Message no_code_for(const Card& card);

// Makes the first card current. Throws Error(unavailable) with the missing thing: driver, card, or code for it.
Card open_card();

// Of the current card: its address on the PCI bus, "0000:3B:00.0", and the CUDA version of its driver, "13.0".
std::string bus_id();
std::string driver_version();

// Of the current card.
int multiprocessors();

// Bytes of the card in use, by all programs.
size_t memory_in_use();

// Device memory by cudaMalloc, once per buffer. Throws Error(out_of_memory) with the requested and the free bytes.
std::unique_ptr<Buffer> allocate_device_buffer(size_t bytes);

// A stream and the pinned memory for copies of host bytes: a ring of slots, so that a few uploads run ahead of the card
// before the host waits.
class CudaQueue final : public Queue {
 public:
  CudaQueue();
  ~CudaQueue() override;
  CudaQueue(const CudaQueue&) = delete;
  CudaQueue& operator=(const CudaQueue&) = delete;

  void synchronize() override;
  cudaStream_t stream() const { return stream_; }

  void upload(std::byte* device, std::span<const std::byte> host);
  // Returns when the copy is complete.
  void download(std::span<std::byte> host, const std::byte* device);

 private:
  static constexpr int kSlots = 8;
  static constexpr size_t kSlotBytes = size_t{4} << 20;

  void release() noexcept;
  std::byte* slot(int i) const { return staging_ + static_cast<size_t>(i) * kSlotBytes; }

  cudaStream_t stream_ = nullptr;
  std::byte* staging_ = nullptr;
  cudaEvent_t used_[kSlots] = {};  // when the last copy from a slot is complete
  int next_ = 0;
};

// The card's own clock. It ticks twice in a microsecond.
class CudaStopwatch final : public Stopwatch {
 public:
  explicit CudaStopwatch(size_t marks);
  ~CudaStopwatch() override;
  CudaStopwatch(const CudaStopwatch&) = delete;
  CudaStopwatch& operator=(const CudaStopwatch&) = delete;

  void mark(Queue& queue, size_t index) override;
  double seconds(size_t from, size_t to) override;

 private:
  void release() noexcept;

  std::vector<cudaEvent_t> events_;
};

inline cudaStream_t stream_of(Queue& queue) {
  return static_cast<CudaQueue&>(queue).stream();
}

}  // namespace tempera::cuda
