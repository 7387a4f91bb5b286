#include "backend/cpu/cpu.h"

#include <algorithm>

#include "backend/cpu/amx.h"
#include "backend/cpu/host_buffer.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/onednn/onednn.h"
#include "backend/cpu/powercap.h"
#include "backend/host_memory.h"
#include "base/error.h"
#include "base/parallel.h"

namespace tempera {
namespace {

// Launches run at once on the caller's thread team, so there is never anything to wait for.
class CpuQueue final : public Queue {
 public:
  void synchronize() override {}
};

class CpuBackend final : public Backend {
 public:
  CpuBackend() : features_(cpu_features()) {
    add_conv_winograd_kernels(table_);
    add_onednn_kernels(table_);
    add_attention_kernels(table_);
    add_group_norm_kernels(table_);
    add_layer_norm_kernels(table_);
    add_activation_kernels(table_);
    add_elementwise_kernels(table_);
    add_movement_kernels(table_);
    add_sampling_kernels(table_);
    target_.name = "cpu";
    target_.host_memory = true;
    // Code and libraries; oneDNN's primitives and their code; pages of the file and a thread: measured, docs/MEMORY.md.
    target_.overhead = size_t{24} << 20;
    target_.overhead_step = size_t{4} << 10;
    target_.stream_overhead = size_t{8} << 20;
    for (const Kernel& kernel : table_) target_.kernels.push_back(&kernel.info);
  }

  std::string description() const override { return "CPU: " + to_string(features_); }
  std::span<const Kernel> kernels() const override { return table_; }
  const Target& target() const override { return target_; }

  std::unique_ptr<Buffer> allocate(size_t bytes) override { return allocate_host_buffer(bytes); }
  std::unique_ptr<Queue> make_queue() override { return std::make_unique<CpuQueue>(); }

  void upload(Queue&, std::byte* device, std::span<const std::byte> host) override { std::ranges::copy(host, device); }
  void download(Queue&, std::span<std::byte> host, const std::byte* device) override {
    std::copy_n(device, host.size(), host.data());
  }
  void copy(Queue&, std::byte* to, const DeviceRows& from) override { copy_rows(to, from); }
  size_t free_memory() const override { return free_host_memory(); }
  size_t total_memory() const override { return total_host_memory(); }
  std::vector<std::pair<std::string, std::string>> libraries() const override { return {{"oneDNN", features_.onednn}}; }
  EnergyMeter* energy_meter() override {
    if (!energy_) energy_.emplace();
    return &*energy_;
  }
  std::unique_ptr<Transfers> make_transfers(Queue&, std::vector<Transfers::Item> items) override {
    return make_host_transfers(std::move(items));
  }
  bool host_visible() const override { return true; }

 private:
  CpuFeatures features_;
  std::vector<Kernel> table_;
  Target target_;
  std::optional<PackageEnergy> energy_;  // from the first question on
};

}  // namespace

CpuFeatures cpu_features() {
  CpuFeatures features;
  features.threads = thread_count();
#if defined(__x86_64__)
  features.avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  features.avx512 = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                    __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  features.avx512_bf16 = features.avx512 && __builtin_cpu_supports("avx512bf16") != 0;
  features.amx = has_amx();
#endif
  features.bf16_arithmetic = onednn_has_bf16();
  features.onednn = onednn_version();
  return features;
}

std::string to_string(const CpuFeatures& features) {
  const std::string_view vectors = features.amx           ? "AVX-512 with bf16 and AMX"
                                   : features.avx512_bf16 ? "AVX-512 with bf16"
                                   : features.avx512      ? "AVX-512"
                                   : features.avx2        ? "AVX2"
                                                          : "SSE2";
  return fmt::format("{} thread{}, {} (oneDNN {})", features.threads, features.threads == 1 ? "" : "s", vectors,
                     features.onednn);
}

std::unique_ptr<Backend> make_cpu_backend() {
  return std::make_unique<CpuBackend>();
}

}  // namespace tempera
