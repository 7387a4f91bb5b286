// Copies to the card on a stream of their own, beside the work of a queue: what they wait for, what waits for them, and
// when they were, by the card's clock.
#pragma once

#include <chrono>
#include <deque>
#include <mutex>
#include <vector>

#include "backend/cuda/device.h"

namespace tempera::cuda {

class CopyStream {
 public:
  // For items 0 to items - 1. The queue must outlive it.
  CopyStream(CudaQueue& queue, size_t items);
  ~CopyStream();
  CopyStream(const CopyStream&) = delete;
  CopyStream& operator=(const CopyStream&) = delete;

  // The item's next copy begins when the work that the queue has been given so far is done.
  void mark(uint32_t item);
  // From pinned memory; on any thread, after its mark.
  void copy(uint32_t item, std::byte* to, const std::byte* from, size_t bytes);
  // What the queue is given from now on waits for the item's last copy.
  void await(uint32_t item);
  // The caller waits for it; on any thread. No core is kept busy.
  void wait(uint32_t item);
  // The caller waits for all copies.
  void finish();

  // As those of Transfers.
  void watch(bool on);
  std::vector<Transfers::Copied> copied();

 private:
  // A copy under watch, between two events of its stream.
  struct Timed {
    uint32_t item;
    cudaEvent_t begin, end;
  };

  cudaEvent_t time_now();
  void forget_times() noexcept;
  void release() noexcept;

  CudaQueue& queue_;
  cudaStream_t stream_ = nullptr;
  std::vector<cudaEvent_t> marked_, arrived_;  // by item
  std::mutex times_;                           // guards the rest, and with it the order of copies
  cudaEvent_t origin_ = nullptr;               // while watched: of all times
  std::chrono::steady_clock::time_point origin_time_;
  std::deque<Timed> under_way_;  // or over and not told of
};

}  // namespace tempera::cuda
