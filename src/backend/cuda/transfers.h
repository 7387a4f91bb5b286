// Parameters that travel, copied on a stream of their own from host memory that is locked ("pinned"): all of them lie
// packed there, or, where that is too much, they are packed from the file again whenever they are wanted.
#pragma once

#include <memory>
#include <vector>

#include "backend/cuda/device.h"
#include "backend/cuda/staging_ring.h"

namespace tempera::cuda {

// Locked memory of the host, counted in `locked` while it lives.
class PinnedMemory {
 public:
  // Throws Error(out_of_memory) where the machine has not that much to lock.
  PinnedMemory(size_t bytes, size_t& locked);
  ~PinnedMemory();
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;

  std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
  size_t& locked_;
};

// Makes the transfers of a card, within what may be locked for all of them.
class TransferMaker {
 public:
  // most: bytes. A ring takes no more than what is left of it either, but at least the largest item.
  explicit TransferMaker(size_t most) : most_(most) {}

  // The queue and the maker must outlive the result. Throws Error(out_of_memory) where not even a ring can be locked.
  std::unique_ptr<Transfers> make(CudaQueue& queue, std::vector<Transfers::Item> items);

 private:
  struct Ring {
    Ring(size_t bytes, size_t& locked) : memory(bytes, locked), staging{memory.bytes()} {}
    PinnedMemory memory;
    StagingMemory staging;
  };
  std::shared_ptr<StagingMemory> ring_for(const std::vector<Transfers::Item>& items);

  size_t most_, locked_ = 0;
  std::shared_ptr<Ring> ring_;  // the newest; programs take turns, and so do their transfers
};

}  // namespace tempera::cuda
