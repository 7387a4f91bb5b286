#include "backend/cpu/cpu.h"

#include <hwy/highway.h>

#include "backend/cpu/amx.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/onednn/onednn.h"
#include "backend/cpu/powercap.h"
#include "backend/host_backend.h"
#include "base/error.h"
#include "base/parallel.h"

namespace tempera {
namespace {

class CpuBackend final : public HostBackend {
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
    // Code and libraries; heap of a program and of its search for kernels; pages of the file and buffers for packing.
    // Fitted to runs of the embedded model and of full-size models (docs/MEMORY.md).
    target_.overhead = size_t{116} << 17;
    target_.overhead_step = size_t{3} << 10;
    target_.stream_overhead = size_t{8} << 20;
    target_.stream_share = 0.5;
    for (const Kernel& kernel : table_) target_.kernels.push_back(&kernel.info);
  }

  std::string description() const override { return "CPU: " + to_string(features_); }
  std::span<const Kernel> kernels() const override { return table_; }
  const Target& target() const override { return target_; }
  std::vector<std::pair<std::string, std::string>> libraries() const override { return cpu_libraries(); }
  EnergyMeter* energy_meter() override {
    if (!energy_) energy_.emplace();
    return &*energy_;
  }

 private:
  CpuFeatures features_;
  std::vector<Kernel> table_;
  Target target_;
  std::optional<PackageEnergy> energy_;  // since the first call
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

std::vector<std::pair<std::string, std::string>> cpu_libraries() {
  return {{"oneDNN", onednn_version()}, {"Highway", fmt::format("{}.{}.{}", HWY_MAJOR, HWY_MINOR, HWY_PATCH)}};
}

std::unique_ptr<Backend> make_cpu_backend() {
  return std::make_unique<CpuBackend>();
}

}  // namespace tempera
