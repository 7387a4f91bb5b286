// Copies to the card on a separate stream while a queue works: their dependencies in both directions, and their times
// by the card's clock.
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

  // The item's next copy begins when all work enqueued so far is complete.
  void mark(uint32_t item);
  // From pinned memory. May be called on any thread, after mark() of the item.
  void copy(uint32_t item, std::byte* to, const std::byte* from, size_t bytes);
  // Work enqueued from now on waits for the item's last copy.
  void await(uint32_t item);
  // Blocks the caller until it is complete, without using a core. May be called on any thread.
  void wait(uint32_t item);
  // Blocks the caller until all copies are complete.
  void finish();

  // As in Transfers.
  void watch(bool on);
  std::vector<Transfers::Copied> copied();

 private:
  // A recorded copy, between two events of its stream.
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
  cudaEvent_t origin_ = nullptr;               // set while copies are recorded: the reference of all times
  std::chrono::steady_clock::time_point origin_time_;
  std::deque<Timed> under_way_;  // in progress, or complete and not yet returned
};

}  // namespace tempera::cuda
