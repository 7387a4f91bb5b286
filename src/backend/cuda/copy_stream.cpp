#include "backend/cuda/copy_stream.h"

#include "base/error.h"

namespace tempera::cuda {
namespace {

bool is_over(cudaEvent_t event) {
  const cudaError_t status = cudaEventQuery(event);
  if (status == cudaErrorNotReady) {
    cudaGetLastError();
    return false;
  }
  check(status, "cudaEventQuery");
  return true;
}

double seconds_between(cudaEvent_t begin, cudaEvent_t end) {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
  return static_cast<double>(milliseconds) / 1000;
}

}  // namespace

CopyStream::CopyStream(CudaQueue& queue, size_t items) : queue_(queue), marked_(items), arrived_(items) {
  try {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    for (cudaEvent_t& event : marked_)
      check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    for (cudaEvent_t& event : arrived_)
      check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync),
            "cudaEventCreateWithFlags");
  } catch (...) {
    release();
    throw;
  }
}

CopyStream::~CopyStream() {
  cudaStreamSynchronize(stream_);
  forget_times();
  release();
}

void CopyStream::release() noexcept {
  for (const auto* events : {&marked_, &arrived_})
    for (cudaEvent_t event : *events)
      if (event != nullptr) cudaEventDestroy(event);
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

void CopyStream::mark(uint32_t item) {
  check(cudaEventRecord(marked_[item], queue_.stream()), "cudaEventRecord");
}

void CopyStream::copy(uint32_t item, std::byte* to, const std::byte* from, size_t bytes) {
  const std::lock_guard lock(times_);
  check(cudaStreamWaitEvent(stream_, marked_[item]), "cudaStreamWaitEvent");
  if (origin_ != nullptr) under_way_.push_back({item, time_now(), nullptr});
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_), "cudaMemcpyAsync");
  check(cudaEventRecord(arrived_[item], stream_), "cudaEventRecord");
  if (origin_ != nullptr) under_way_.back().end = time_now();
}

void CopyStream::await(uint32_t item) {
  check(cudaStreamWaitEvent(queue_.stream(), arrived_[item]), "cudaStreamWaitEvent");
}

void CopyStream::wait(uint32_t item) {
  check(cudaEventSynchronize(arrived_[item]), "copying parameters");
}

void CopyStream::finish() {
  check(cudaStreamSynchronize(stream_), "copying parameters");
}

void CopyStream::watch(bool on) {
  const std::lock_guard lock(times_);
  forget_times();
  if (!on) return;
  origin_ = time_now();
  check(cudaEventSynchronize(origin_), "cudaEventSynchronize");
  origin_time_ = std::chrono::steady_clock::now();
}

std::vector<Transfers::Copied> CopyStream::copied() {
  const std::lock_guard lock(times_);
  std::vector<Transfers::Copied> list;
  for (; !under_way_.empty() && is_over(under_way_.front().end); under_way_.pop_front()) {
    const Timed& copy = under_way_.front();
    const std::chrono::duration<double> after(seconds_between(origin_, copy.begin));
    list.push_back({copy.item, origin_time_ + std::chrono::duration_cast<std::chrono::steady_clock::duration>(after),
                    seconds_between(copy.begin, copy.end)});
    cudaEventDestroy(copy.begin);
    cudaEventDestroy(copy.end);
  }
  return list;
}

cudaEvent_t CopyStream::time_now() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "cudaEventCreate");
  check(cudaEventRecord(event, stream_), "cudaEventRecord");
  return event;
}

void CopyStream::forget_times() noexcept {
  for (const Timed& copy : under_way_) {
    cudaEventDestroy(copy.begin);
    if (copy.end != nullptr) cudaEventDestroy(copy.end);
  }
  under_way_.clear();
  if (origin_ != nullptr) cudaEventDestroy(origin_);
  origin_ = nullptr;
}

}  // namespace tempera::cuda
