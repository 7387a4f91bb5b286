#include "backend/cuda/device.h"

#include <algorithm>
#include <cstring>

#include "backend/cuda/kernels/kernels.h"
#include "base/error.h"

namespace tempera::cuda {

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // clears the error, if it can be cleared
  fail(status == cudaErrorMemoryAllocation ? ErrorCode::out_of_memory : ErrorCode::internal, "CUDA: {} failed: {} ({})",
       call, cudaGetErrorString(status), cudaGetErrorName(status));
}

Card open_card() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver)
    fail(ErrorCode::unavailable,
         "{} cuda: there is no NVIDIA driver for CUDA {}.{} or later; install or update the driver",
         FieldName{"device"}, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
  if (status != cudaSuccess || count == 0)
    fail(ErrorCode::unavailable, "{} cuda: no NVIDIA card was found ({})", FieldName{"device"},
         status == cudaSuccess ? "none is visible" : cudaGetErrorString(status));
  check(cudaSetDevice(0), "cudaSetDevice");
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  Card card{properties.name, properties.major, properties.minor, properties.multiProcessorCount,
            properties.totalGlobalMem};
  if (code_for_this_card() == 0) fail(ErrorCode::unavailable, "{}", no_code_for(card));
  return card;
}

Message no_code_for(const Card& card) {
  if (card.major < 8)
    return make_message("{} cuda: {} has compute capability {}.{}, 8.0 or later is needed", FieldName{"device"},
                        card.name, card.major, card.minor);
  return make_message(
      "{} cuda: this build has no code for {} (compute capability {}.{}); build with "
      "-DCMAKE_CUDA_ARCHITECTURES={}{}{}",
      FieldName{"device"}, card.name, card.major, card.minor, card.major, card.minor, is_hopper(card) ? "a" : "");
}

namespace {

class DeviceBuffer final : public Buffer {
 public:
  explicit DeviceBuffer(size_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    const cudaError_t status = cudaMalloc(reinterpret_cast<void**>(&data_), bytes);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      size_t free = 0, total = 0;
      check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
      fail(ErrorCode::out_of_memory,
           "not enough memory on the card: {} MiB are needed at once, {} of {} MiB are free; ask for fewer or smaller "
           "pictures",
           (bytes >> 20) + 1, free >> 20, total >> 20);
    }
    check(status, "cudaMalloc");
  }
  ~DeviceBuffer() override { cudaFree(data_); }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  std::byte* data() override { return data_; }
  size_t size() const override { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_;
};

}  // namespace

std::string bus_id() {
  int card = 0;
  char id[32] = {};
  check(cudaGetDevice(&card), "cudaGetDevice");
  check(cudaDeviceGetPCIBusId(id, sizeof id, card), "cudaDeviceGetPCIBusId");
  return id;
}

std::string driver_version() {
  int version = 0;  // 13020: 13.2
  check(cudaDriverGetVersion(&version), "cudaDriverGetVersion");
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

int multiprocessors() {
  int device = 0, count = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device), "cudaDeviceGetAttribute");
  return count;
}

size_t memory_in_use() {
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return total - free;
}

std::unique_ptr<Buffer> allocate_device_buffer(size_t bytes) {
  return std::make_unique<DeviceBuffer>(bytes);
}

CudaQueue::CudaQueue() {
  try {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    check(cudaMallocHost(reinterpret_cast<void**>(&staging_), kSlots * kSlotBytes), "cudaMallocHost");
    for (cudaEvent_t& event : used_)
      check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  } catch (...) {
    release();
    throw;
  }
}

CudaQueue::~CudaQueue() {
  if (stream_ != nullptr) cudaStreamSynchronize(stream_);  // no work may use memory that is freed next
  release();
}

void CudaQueue::release() noexcept {
  for (cudaEvent_t event : used_)
    if (event != nullptr) cudaEventDestroy(event);
  if (staging_ != nullptr) cudaFreeHost(staging_);
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

void CudaQueue::synchronize() {
  check(cudaStreamSynchronize(stream_), "a step (CUDA_LAUNCH_BLOCKING=1 tells which)");
}

void CudaQueue::upload(std::byte* device, std::span<const std::byte> host) {
  for (size_t done = 0; done < host.size();) {
    const size_t n = std::min(kSlotBytes, host.size() - done);
    check(cudaEventSynchronize(used_[next_]), "cudaEventSynchronize");
    std::memcpy(slot(next_), host.data() + done, n);
    check(cudaMemcpyAsync(device + done, slot(next_), n, cudaMemcpyHostToDevice, stream_), "cudaMemcpyAsync");
    check(cudaEventRecord(used_[next_], stream_), "cudaEventRecord");
    next_ = (next_ + 1) % kSlots;
    done += n;
  }
}

void CudaQueue::download(std::span<std::byte> host, const std::byte* device) {
  for (size_t done = 0; done < host.size();) {
    const size_t n = std::min(kSlotBytes, host.size() - done);
    check(cudaEventSynchronize(used_[next_]), "cudaEventSynchronize");
    check(cudaMemcpyAsync(slot(next_), device + done, n, cudaMemcpyDeviceToHost, stream_), "cudaMemcpyAsync");
    synchronize();
    std::memcpy(host.data() + done, slot(next_), n);
    done += n;
  }
}

CudaStopwatch::CudaStopwatch(size_t marks) : events_(marks) {
  try {
    for (cudaEvent_t& event : events_) check(cudaEventCreate(&event), "cudaEventCreate");
  } catch (...) {
    release();
    throw;
  }
}

CudaStopwatch::~CudaStopwatch() {
  release();
}

void CudaStopwatch::release() noexcept {
  for (cudaEvent_t event : events_)
    if (event != nullptr) cudaEventDestroy(event);
}

void CudaStopwatch::mark(Queue& queue, size_t index) {
  check(cudaEventRecord(events_[index], stream_of(queue)), "cudaEventRecord");
}

double CudaStopwatch::seconds(size_t from, size_t to) {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, events_[from], events_[to]), "cudaEventElapsedTime");
  return milliseconds / 1e3;
}

}  // namespace tempera::cuda
