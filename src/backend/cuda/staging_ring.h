// Copies parameters to the device through little host memory: threads pack the started items, in that order, into a
// ring of bytes, and each item is copied to the device from there. It does not use CUDA: the device is two functions.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "backend/backend.h"

namespace tempera::cuda {

class StagingRing;

// The memory of rings. Rings use it in turns: a ring waits until the one before it has finished.
struct StagingMemory {
  std::span<std::byte> bytes;
  StagingRing* user = nullptr;
};

class StagingRing {
 public:
  struct Device {
    // Enqueues the copy of a packed item, after those enqueued before it. Called on any thread, one call at a time.
    std::function<void(uint32_t item, const std::byte* from)> copy;
    // Returns when the last enqueued copy of the item is complete. May be called on any thread.
    std::function<void(uint32_t item)> wait;
  };

  // Every item must fit into the memory. Memory and items must outlive the ring. It packs on `threads` threads of its
  // own, which assume that the caller's thread_count() threads compute meanwhile.
  StagingRing(StagingMemory& memory, std::span<const Transfers::Item> items, Device device, int threads);
  // Discards items that were not begun, and waits for enqueued copies.
  ~StagingRing();
  StagingRing(const StagingRing&) = delete;
  StagingRing& operator=(const StagingRing&) = delete;

  // Packs the item when there is room, and then has it copied. The same item may be started repeatedly.
  void start(uint32_t item);
  // Returns when every started copy of the item has been enqueued. Throws the exception of packing or copying.
  void await(uint32_t item);
  // Returns when all started copies are complete, or, after an exception, when none is in progress. Then it throws the
  // exception, unless await() has thrown it. After that the ring is as new.
  void finish();

 private:
  // An item in the memory, until its copy is over.
  struct Place {
    uint32_t item = 0;
    size_t offset = 0, bytes = 0;
    bool packed = false;
  };
  using Lock = std::unique_lock<std::mutex>;

  void run();
  void pack_next(Lock& lock);
  bool may_pack_next() const;
  void make_room(Lock& lock, size_t offset, size_t bytes);
  void copy_what_is_packed();
  template <class Work>
  void without(Lock& lock, const Work& work);

  StagingMemory& memory_;
  const std::span<const Transfers::Item> items_;
  const Device device_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<uint32_t> waiting_;
  std::deque<Place> places_;  // in the order of their start; the first `enqueued_` are being copied
  size_t enqueued_ = 0;
  size_t end_ = 0;                          // of the newest place
  std::vector<uint64_t> started_, copied_;  // how often, by item
  std::exception_ptr error_;
  int packing_ = 0;    // threads
  bool told_ = false;  // await() has thrown error_
  bool making_room_ = false, stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tempera::cuda
