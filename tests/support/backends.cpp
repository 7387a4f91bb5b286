#include "support/backends.h"

#include <cstdlib>

#include "backend/reference/reference.h"
#include "base/error.h"
#if TEMPERA_HAS_CPU
#include "backend/cpu/cpu.h"
#endif
#if TEMPERA_HAS_CUDA
#include "backend/cuda/cuda.h"
#endif

namespace tempera::test {

std::vector<std::string> backend_names() {
  std::vector<std::string> names = {"reference"};
#if TEMPERA_HAS_CPU
  names.push_back("cpu");
#endif
#if TEMPERA_HAS_CUDA
  if (cuda_missing().empty()) names.push_back("cuda");
#endif
  return names;
}

std::unique_ptr<Backend> make_backend(const std::string& name, [[maybe_unused]] std::optional<size_t> most_pinned) {
  if (name == "reference") return make_reference_backend();
#if TEMPERA_HAS_CPU
  if (name == "cpu") return make_cpu_backend();
#endif
#if TEMPERA_HAS_CUDA
  if (name == "cuda") return make_cuda_backend(most_pinned);
#endif
  fail(ErrorCode::unavailable, "no backend '{}' in this build", name);
}

void forbid_tf32() {
  setenv("NVIDIA_TF32_OVERRIDE", "0", 1);
}

std::vector<DType> compute_dtypes(const std::string& name) {
  if (name != "cpu") return {DType::f32, DType::bf16, DType::f16};
  return {DType::f32, DType::bf16};
}

}  // namespace tempera::test
