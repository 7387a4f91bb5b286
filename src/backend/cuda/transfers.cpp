#include "backend/cuda/transfers.h"

#include <algorithm>
#include <atomic>
#include <exception>

#include "backend/cuda/copy_stream.h"
#include "base/error.h"
#include "base/parallel.h"

namespace tempera::cuda {
namespace {

constexpr size_t kAlignment = 256;

// Room for four segments (program/residency.cpp), one for each packing thread.
constexpr size_t kRingBytes = size_t{256} << 20;
constexpr int kPackingThreads = 4;

size_t padded(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

size_t all_bytes(std::span<const Transfers::Item> items) {
  size_t bytes = 0;
  for (const Transfers::Item& item : items) bytes += padded(item.bytes);
  return bytes;
}

class PinnedTransfers final : public Transfers {
 public:
  // All items one after the other. `memory` has all_bytes(items).
  PinnedTransfers(CudaQueue& queue, std::vector<Item> items, std::unique_ptr<PinnedMemory> memory)
      : items_(std::move(items)), memory_(std::move(memory)), stream_(queue, items_.size()) {
    std::byte* at = memory_->bytes().data();
    for (const Item& item : items_) {
      packed_.push_back(at);
      at += padded(item.bytes);
    }
    fill();
  }

  void start(uint32_t i) override {
    stream_.mark(i);
    stream_.copy(i, items_[i].to, packed_[i], items_[i].bytes);
  }
  void await(uint32_t i) override { stream_.await(i); }
  void finish() override { stream_.finish(); }
  void rebase(const std::byte* from, std::byte* to) override { Transfers::rebase(items_, from, to); }
  void watch(bool on) override { stream_.watch(on); }
  std::vector<Copied> copied() override { return stream_.copied(); }

 private:
  // Items one after the other. Packing is a copy with conversion, for which one core is much slower than memory.
  void fill() {
    std::atomic<size_t> next = 0;
    std::atomic<bool> failed = false;
    std::exception_ptr error;
    parallel_region([&](int, int) {
      for (size_t i = next++; i < items_.size() && !failed; i = next++) {
        try {
          items_[i].fill(packed_[i]);
        } catch (...) {
          if (!failed.exchange(true)) error = std::current_exception();
        }
      }
    });
    if (error) std::rethrow_exception(error);
  }

  std::vector<Item> items_;
  const std::unique_ptr<PinnedMemory> memory_;
  std::vector<std::byte*> packed_;  // by item
  CopyStream stream_;
};

class RingTransfers final : public Transfers {
 public:
  RingTransfers(CudaQueue& queue, std::vector<Item> items, std::shared_ptr<StagingMemory> memory)
      : items_(std::move(items)),
        memory_(std::move(memory)),
        stream_(queue, items_.size()),
        ring_(*memory_, items_,
              {[this](uint32_t i, const std::byte* from) { stream_.copy(i, items_[i].to, from, items_[i].bytes); },
               [this](uint32_t i) { stream_.wait(i); }},
              std::clamp(thread_count() - 1, 1, kPackingThreads)) {}

  void start(uint32_t i) override {
    stream_.mark(i);
    ring_.start(i);
  }
  // A stream can only wait for enqueued work, so the caller waits until the item is packed. The card is not slower:
  // earlier launches continue, and later launches need the item. They are enqueued while it is copied.
  void await(uint32_t i) override {
    ring_.await(i);
    stream_.await(i);
  }
  void finish() override { ring_.finish(); }
  void rebase(const std::byte* from, std::byte* to) override { Transfers::rebase(items_, from, to); }
  void watch(bool on) override { stream_.watch(on); }
  std::vector<Copied> copied() override { return stream_.copied(); }

 private:
  std::vector<Item> items_;
  const std::shared_ptr<StagingMemory> memory_;
  CopyStream stream_;
  StagingRing ring_;  // destroyed first: its threads use the others
};

}  // namespace

PinnedMemory::PinnedMemory(size_t bytes, size_t& locked) : locked_(locked) {
  std::byte* data = nullptr;
  const cudaError_t status = cudaMallocHost(reinterpret_cast<void**>(&data), bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    fail(ErrorCode::out_of_memory,
         "offloading needs {} MiB of host memory for parameters and the machine has not that much to lock; use "
         "{} none",
         (bytes >> 20) + 1, FieldName{"offload"});
  }
  check(status, "cudaMallocHost");
  bytes_ = {data, bytes};
  locked_ += bytes;
}

PinnedMemory::~PinnedMemory() {
  cudaFreeHost(bytes_.data());
  locked_ -= bytes_.size();
}

std::unique_ptr<Transfers> TransferMaker::make(CudaQueue& queue, std::vector<Transfers::Item> items) {
  const size_t bytes = all_bytes(items);
  if (bytes <= most_ - std::min(most_, locked_)) {
    std::unique_ptr<PinnedMemory> memory;
    try {
      memory = std::make_unique<PinnedMemory>(bytes, locked_);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::out_of_memory) throw;
    }
    if (memory) return std::make_unique<PinnedTransfers>(queue, std::move(items), std::move(memory));
  }
  std::shared_ptr<StagingMemory> ring = ring_for(items);
  return std::make_unique<RingTransfers>(queue, std::move(items), std::move(ring));
}

std::shared_ptr<StagingMemory> TransferMaker::ring_for(const std::vector<Transfers::Item>& items) {
  size_t largest = 0;
  for (const Transfers::Item& item : items) largest = std::max(largest, padded(item.bytes));
  const size_t left = most_ - std::min(most_, locked_);
  const size_t wanted = std::max(largest, std::min({kRingBytes, all_bytes(items), left}));
  if (!ring_ || ring_->staging.bytes.size() < wanted) ring_ = std::make_shared<Ring>(wanted, locked_);
  return {ring_, &ring_->staging};
}

}  // namespace tempera::cuda
