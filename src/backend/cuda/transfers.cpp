#include "backend/cuda/transfers.h"

#include <atomic>
#include <chrono>
#include <deque>
#include <exception>

#include "base/error.h"
#include "base/parallel.h"

namespace tempera::cuda {
namespace {

constexpr size_t kAlignment = 256;

class PinnedTransfers final : public Transfers {
 public:
  PinnedTransfers(CudaQueue& queue, std::vector<Item> items) : queue_(queue), items_(std::move(items)) {
    size_t bytes = 0;
    for (const Item& item : items_) {
      offsets_.push_back(bytes);
      bytes += (item.bytes + kAlignment - 1) / kAlignment * kAlignment;
    }
    try {
      allocate(bytes);
      fill();
    } catch (...) {
      release();
      throw;
    }
  }
  ~PinnedTransfers() override {
    cudaStreamSynchronize(stream_);
    forget_times();
    release();
  }
  PinnedTransfers(const PinnedTransfers&) = delete;
  PinnedTransfers& operator=(const PinnedTransfers&) = delete;

  void start(uint32_t i) override {
    check(cudaEventRecord(now_, queue_.stream()), "cudaEventRecord");
    check(cudaStreamWaitEvent(stream_, now_), "cudaStreamWaitEvent");
    if (origin_ != nullptr) under_way_.push_back({i, time_now(), nullptr});
    check(cudaMemcpyAsync(items_[i].to, pinned_ + offsets_[i], items_[i].bytes, cudaMemcpyHostToDevice, stream_),
          "cudaMemcpyAsync");
    check(cudaEventRecord(arrived_[i], stream_), "cudaEventRecord");
    if (origin_ != nullptr) under_way_.back().end = time_now();
  }
  void await(uint32_t i) override { check(cudaStreamWaitEvent(queue_.stream(), arrived_[i]), "cudaStreamWaitEvent"); }
  void finish() override { check(cudaStreamSynchronize(stream_), "copying parameters"); }

  void watch(bool on) override {
    forget_times();
    if (!on) return;
    origin_ = time_now();
    check(cudaEventSynchronize(origin_), "cudaEventSynchronize");
    origin_time_ = std::chrono::steady_clock::now();
  }

  std::vector<Copied> copied() override {
    std::vector<Copied> list;
    for (; !under_way_.empty() && is_over(under_way_.front().end); under_way_.pop_front()) {
      const Timed& copy = under_way_.front();
      const std::chrono::duration<double> after(seconds_between(origin_, copy.begin));
      list.push_back({copy.item, origin_time_ + std::chrono::duration_cast<std::chrono::steady_clock::duration>(after),
                      seconds_between(copy.begin, copy.end)});
      forget(copy);
    }
    return list;
  }

 private:
  // A copy under watch, between two events of its stream.
  struct Timed {
    uint32_t item;
    cudaEvent_t begin, end;
  };

  cudaEvent_t time_now() {
    cudaEvent_t event = nullptr;
    check(cudaEventCreate(&event), "cudaEventCreate");
    check(cudaEventRecord(event, stream_), "cudaEventRecord");
    return event;
  }
  static bool is_over(cudaEvent_t event) {
    const cudaError_t status = cudaEventQuery(event);
    if (status == cudaErrorNotReady) {
      cudaGetLastError();
      return false;
    }
    check(status, "cudaEventQuery");
    return true;
  }
  static double seconds_between(cudaEvent_t begin, cudaEvent_t end) {
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
    return static_cast<double>(milliseconds) / 1000;
  }
  static void forget(const Timed& copy) noexcept {
    cudaEventDestroy(copy.begin);
    if (copy.end != nullptr) cudaEventDestroy(copy.end);
  }
  void forget_times() noexcept {
    for (const Timed& copy : under_way_) forget(copy);
    under_way_.clear();
    if (origin_ != nullptr) cudaEventDestroy(origin_);
    origin_ = nullptr;
  }

  void allocate(size_t bytes) {
    const cudaError_t status = cudaMallocHost(reinterpret_cast<void**>(&pinned_), bytes);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      fail(ErrorCode::out_of_memory,
           "offloading needs {} MiB of host memory for parameters and the machine has not that much to lock; use "
           "--offload none",
           (bytes >> 20) + 1);
    }
    check(status, "cudaMallocHost");
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    check(cudaEventCreateWithFlags(&now_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    arrived_.resize(items_.size());
    for (cudaEvent_t& event : arrived_)
      check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  }

  // Items side by side: packing one is a copy with conversions, which one core does at a fraction of memory's rate.
  void fill() {
    std::atomic<size_t> next = 0;
    std::atomic<bool> failed = false;
    std::exception_ptr error;
    parallel_region([&](int, int) {
      for (size_t i = next++; i < items_.size() && !failed; i = next++) {
        try {
          items_[i].fill(pinned_ + offsets_[i]);
        } catch (...) {
          if (!failed.exchange(true)) error = std::current_exception();
        }
      }
    });
    if (error) std::rethrow_exception(error);
  }

  void release() noexcept {
    for (cudaEvent_t event : arrived_)
      if (event != nullptr) cudaEventDestroy(event);
    if (now_ != nullptr) cudaEventDestroy(now_);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
    if (pinned_ != nullptr) cudaFreeHost(pinned_);
  }

  CudaQueue& queue_;
  const std::vector<Item> items_;
  std::vector<size_t> offsets_;  // in pinned memory
  std::byte* pinned_ = nullptr;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t now_ = nullptr;
  std::vector<cudaEvent_t> arrived_;
  cudaEvent_t origin_ = nullptr;  // while watched: of all times
  std::chrono::steady_clock::time_point origin_time_;
  std::deque<Timed> under_way_;  // or over and not told of
};

}  // namespace

std::unique_ptr<Transfers> make_pinned_transfers(CudaQueue& queue, std::vector<Transfers::Item> items) {
  return std::make_unique<PinnedTransfers>(queue, std::move(items));
}

}  // namespace tempera::cuda
