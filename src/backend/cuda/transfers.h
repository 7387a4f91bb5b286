// Streamed parameters, copied on a separate stream from host memory that is locked ("pinned"). All of them are packed
// there, or, if that is too much memory, they are packed from the file before each copy.
#pragma once

#include <memory>
#include <vector>

#include "backend/cuda/device.h"
#include "backend/cuda/staging_ring.h"

namespace tempera::cuda {

// Locked memory of the host. `locked` counts its bytes while it exists.
class PinnedMemory {
 public:
  // Throws Error(out_of_memory) if the machine cannot lock so much memory.
  PinnedMemory(size_t bytes, size_t& locked);
  ~PinnedMemory();
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;

  std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
  size_t& locked_;
};

// Makes the transfers of a card, within the bytes that may be locked for all of them.
class TransferMaker {
 public:
  // most: in bytes. A ring is limited to the remaining bytes, but can always hold the largest item.
  explicit TransferMaker(size_t most) : most_(most) {}

  // The queue and the maker must outlive the result. Throws Error(out_of_memory) if not even a ring can be locked.
  std::unique_ptr<Transfers> make(CudaQueue& queue, std::vector<Transfers::Item> items);

 private:
  struct Ring {
    Ring(size_t bytes, size_t& locked) : memory(bytes, locked), staging{memory.bytes()} {}
    PinnedMemory memory;
    StagingMemory staging;
  };
  std::shared_ptr<StagingMemory> ring_for(const std::vector<Transfers::Item>& items);

  size_t most_, locked_ = 0;
  std::shared_ptr<Ring> ring_;  // the newest; programs run in turns, and so do their transfers
};

}  // namespace tempera::cuda
