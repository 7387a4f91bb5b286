#include "backend/cuda/binding.h"

#include "backend/cuda/row_list.h"

namespace tempera::cuda {
namespace {

#define TEMPERA_BINDING(bind, description) bind,
constexpr BindRow kBindings[] = {TEMPERA_CUDA_ROWS(TEMPERA_BINDING)};
#undef TEMPERA_BINDING

}  // namespace

std::span<const BindRow> bindings() {
  return kBindings;
}

}  // namespace tempera::cuda
