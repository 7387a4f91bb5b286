#include "backend/cuda/cuda.h"

#include <algorithm>

#include "backend/cuda/binding.h"
#include "backend/cuda/kernels/hopper_product.h"
#include "backend/cuda/libraries.h"
#include "backend/cuda/nvml.h"
#include "backend/cuda/rows.h"
#include "backend/cuda/table.h"
#include "backend/cuda/transfers.h"
#include "backend/cuda/weights.h"
#include "backend/host_memory.h"
#include "base/error.h"

namespace tempera {
namespace {

using cuda::check;
using cuda::CudaQueue;
using cuda::stream_of;

// A captured graph, ready to be launched.
class CudaRecording final : public Recording {
 public:
  explicit CudaRecording(cudaGraph_t graph) {
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "cudaGraphInstantiate");
  }
  ~CudaRecording() override { cudaGraphExecDestroy(executable_); }
  CudaRecording(const CudaRecording&) = delete;
  CudaRecording& operator=(const CudaRecording&) = delete;

  void replay(Queue& queue) override { check(cudaGraphLaunch(executable_, stream_of(queue)), "cudaGraphLaunch"); }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

// Runs `work`. Errors name the step.
template <class Work>
auto at_step(const std::string& step, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    fail(error.code(), "{} (at {})", error.message(), step);
  }
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(size_t most_pinned)
      : card_(cuda::open_card()),
        tuning_(cuda::tuning_file(), card_.name),
        products_(tuning_),
        cudnn_(tuning_),
        machine_{tuning_, products_, cudnn_, tuning_queue_.stream(), hopper()},
        transfers_(most_pinned) {
    for (size_t i = 0; i < cuda::bindings().size(); ++i) {
      const KernelInfo& info = *cuda_target().kernels[i];
      if (info.name == kCudaHopperRow && !hopper()) continue;
      const auto bind = [this, row = cuda::bindings()[i]](const Problem& p, const Binding& b) {
        return launch(row, p, b);
      };
      table_.push_back({info, bind, cuda_pack});
    }
    target_ = cuda_target();
    target_.kernels.clear();
    for (const Kernel& kernel : table_) target_.kernels.push_back(&kernel.info);
  }

  std::string description() const override {
    return fmt::format("CUDA: {}, {} MiB, compute capability {}.{} (cuBLASLt {}, cuDNN {})", card_.name,
                       card_.memory >> 20, card_.major, card_.minor, products_.version(), cudnn_.version());
  }
  std::span<const Kernel> kernels() const override { return table_; }
  const Target& target() const override { return target_; }

  std::unique_ptr<Buffer> allocate(size_t bytes) override {
    std::unique_ptr<Buffer> buffer = cuda::allocate_device_buffer(bytes);
    peak_memory_ = std::max(peak_memory(), peak_memory_);
    return buffer;
  }
  size_t free_memory() const override { return card_.memory - std::min(card_.memory, cuda::memory_in_use()); }
  size_t total_memory() const override { return card_.memory; }
  std::vector<std::pair<std::string, std::string>> libraries() const override {
    return {{"cuBLASLt", products_.version()}, {"cuDNN", cudnn_.version()}, {"CUDA driver", cuda::driver_version()}};
  }
  EnergyMeter* energy_meter() override {
    if (!energy_) energy_ = std::make_unique<cuda::EnergyCounter>(cuda::bus_id());
    return energy_.get();
  }
  size_t peak_memory() const override {
    const size_t now = cuda::memory_in_use();
    return std::max(peak_memory_, now > empty_ ? now - empty_ : 0);
  }
  std::unique_ptr<Queue> make_queue() override { return std::make_unique<CudaQueue>(); }
  std::unique_ptr<Stopwatch> make_stopwatch(size_t marks) override {
    return std::make_unique<cuda::CudaStopwatch>(marks);
  }
  void upload(Queue& queue, std::byte* device, std::span<const std::byte> host) override {
    static_cast<CudaQueue&>(queue).upload(device, host);
  }
  void download(Queue& queue, std::span<std::byte> host, const std::byte* device) override {
    static_cast<CudaQueue&>(queue).download(host, device);
  }
  void copy(Queue& queue, std::byte* to, const DeviceRows& from) override {
    check(cudaMemcpy2DAsync(to, from.bytes, from.data, from.stride, from.bytes, from.count, cudaMemcpyDeviceToDevice,
                            stream_of(queue)),
          "cudaMemcpy2DAsync");
  }
  bool draw_normal(Queue& queue, std::byte* to, const NormalDraw& draw) override {
    cuda::normal({draw.seed, draw.counter, draw.threads, draw.channels, draw.pixels, draw.scale},
                 reinterpret_cast<float*>(to), stream_of(queue));
    check(cudaGetLastError(), "noise");
    return true;
  }
  std::unique_ptr<Transfers> make_transfers(Queue& queue, std::vector<Transfers::Item> items) override {
    return transfers_.make(static_cast<CudaQueue&>(queue), std::move(items));
  }
  bool host_visible() const override { return false; }

  std::unique_ptr<Recording> record(Queue& queue, const std::function<void()>& enqueue) override {
    cudaStream_t stream = stream_of(queue);
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    cudaGraph_t graph = nullptr;
    try {
      enqueue();
    } catch (...) {
      cudaStreamEndCapture(stream, &graph);
      cudaGetLastError();  // the error of this recording has been reported already
      if (graph != nullptr) cudaGraphDestroy(graph);
      throw;
    }
    check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
    return std::make_unique<CudaRecording>(graph);
  }

 private:
  bool hopper() const { return is_hopper(card_) && cuda::has_hopper_code(); }

  // A bound row whose errors name the step.
  Launch launch(cuda::BindRow bind, const Problem& p, const Binding& b) {
    const std::string step = to_string(p.op) + " to " + to_string(p.output);
    return at_step(step, [&]() -> Launch {
      return [step, enqueue = bind(machine_, p, b)](Queue& queue) {
        at_step(step, [&] {
          enqueue(stream_of(queue));
          check(cudaGetLastError(), "a launch");
        });
      };
    });
  }

  cuda::Card card_;
  size_t empty_ = cuda::memory_in_use(), peak_memory_ = 0;
  cuda::Tuning tuning_;
  cuda::Products products_;
  cuda::CudnnOps cudnn_;
  CudaQueue tuning_queue_;
  cuda::Machine machine_;
  cuda::TransferMaker transfers_;
  std::vector<Kernel> table_;
  Target target_;
  std::unique_ptr<cuda::EnergyCounter> energy_;  // since the first call
};

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(std::optional<size_t> most_pinned) {
  return std::make_unique<CudaBackend>(most_pinned.value_or(free_host_memory() / 2));
}

std::vector<CudaLibrary> cuda_libraries() {
  const auto dotted = [](int major, int minor, int patch) { return fmt::format("{}.{}.{}", major, minor, patch); };
  return {{"CUDA", fmt::format("{}.{}", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10), true},
          {"cuBLASLt", dotted(CUBLAS_VER_MAJOR, CUBLAS_VER_MINOR, CUBLAS_VER_PATCH)},
          {"cuDNN", dotted(CUDNN_MAJOR, CUDNN_MINOR, CUDNN_PATCHLEVEL)}};
}

Message cuda_missing() {
  try {
    cuda::open_card();
    const cuda::CublasLt products;
    const cuda::Cudnn convolutions;
    return {};
  } catch (const Error& error) {
    return error.message();
  }
}

}  // namespace tempera
