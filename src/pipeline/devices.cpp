#include "pipeline/devices.h"

#include "backend/cuda/table.h"
#include "base/error.h"
#include "base/parallel.h"
#if TEMPERA_HAS_CPU
#include "backend/cpu/cpu.h"
#endif
#if TEMPERA_HAS_CUDA
#include "backend/cuda/cuda.h"
#endif

namespace tempera {
namespace {

constexpr bool kHasCpu = TEMPERA_HAS_CPU != 0;

#if !TEMPERA_HAS_CPU
[[noreturn]] void no_cpu() {
  fail(ErrorCode::unavailable,
       "{} cpu: this build of tempera has no CPU backend; build with -DTEMPERA_CPU=ON, which needs oneDNN and Highway",
       FieldName{"device"});
}
#endif

// Why nothing can run on a card; empty when it can.
Message no_cuda() {
#if TEMPERA_HAS_CUDA
  return cuda_missing();
#else
  return make_message(
      "{} cuda: this build of tempera has no CUDA backend; build with -DTEMPERA_CUDA=ON, which needs the CUDA toolkit "
      "and cuDNN",
      FieldName{"device"});
#endif
}

DType best_dtype(const std::string& device) {
  if (device == "cuda") return DType::f16;
#if TEMPERA_HAS_CPU
  return cpu_features().bf16_arithmetic ? DType::bf16 : DType::f32;
#else
  no_cpu();
#endif
}

void need_arithmetic(const std::string& device, FieldName field, const std::string& dtype) {
  if (device == "cpu" && parse_dtype(dtype) == DType::f16)
    fail(ErrorCode::invalid_argument, "{} fp16 needs {} cuda: the CPU computes in fp32 or bf16", field,
         FieldName{"device"});
}

DeviceChoice with_dtype(std::string device, const EngineOptions& options) {
  need_arithmetic(device, {"dtype"}, options.dtype);
  need_arithmetic(device, {"vae_dtype"}, options.vae_dtype);
  const DType dtype = parse_dtype(options.dtype).value_or(best_dtype(device));
  return {std::move(device), dtype};
}

}  // namespace

DeviceChoice choose_device(const EngineOptions& options) {
  if (options.device == "cpu") return with_dtype("cpu", options);
  const Message missing = no_cuda();
  if (missing.empty()) return with_dtype("cuda", options);
  if (options.device == "cuda" && kHasCpu)
    fail(ErrorCode::unavailable, "{}; {} cpu needs no card", missing, FieldName{"device"});
  if (options.device == "cuda") fail(ErrorCode::unavailable, "{}", missing);
  if (!kHasCpu) fail(ErrorCode::unavailable, "{}; and this build has no CPU backend (-DTEMPERA_CPU=ON)", missing);
  return with_dtype("cpu", options);
}

DeviceChoice choose_target(const EngineOptions& options) {
  return options.device == "cuda" || (options.device != "cpu" && !kHasCpu) ? with_dtype("cuda", options)
                                                                           : choose_device(options);
}

std::vector<std::string> built_backends() {
  std::vector<std::string> names;
#if TEMPERA_HAS_CPU
  names.emplace_back("cpu");
#endif
#if TEMPERA_HAS_CUDA
  names.emplace_back("cuda");
#endif
  return names;
}

std::vector<BuildInfo::Library> backend_libraries() {
  std::vector<BuildInfo::Library> libraries;
#if TEMPERA_HAS_CPU
  for (auto& [name, version] : cpu_libraries()) libraries.push_back({name, version});
#endif
#if TEMPERA_HAS_CUDA
  for (const CudaLibrary& library : cuda_libraries())
    libraries.push_back({library.name, library.version, library.linked});
#endif
  return libraries;
}

bool has_device(const std::string& device) {
  return device == "cpu" ? kHasCpu : device == "cuda" && no_cuda().empty();
}

std::unique_ptr<Backend> open_device(const std::string& device, [[maybe_unused]] std::optional<size_t> most_pinned) {
#if TEMPERA_HAS_CPU
  if (device == "cpu") return make_cpu_backend();
#else
  if (device == "cpu") no_cpu();
#endif
#if TEMPERA_HAS_CUDA
  if (device == "cuda") return make_cuda_backend(most_pinned);
#endif
  fail(ErrorCode::unavailable, "there is no device '{}': use cpu", device);
}

int engine_threads(const EngineOptions& options) {
  return options.threads > 0 ? options.threads : thread_count();
}

PlanTarget plan_target(const std::string& device) {
  if (device == "cuda") return {nullptr, &cuda_target()};
  const std::shared_ptr<Backend> backend = open_device(device);
  return {backend, &backend->target()};
}

}  // namespace tempera
