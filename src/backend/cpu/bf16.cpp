#include "backend/cpu/bf16.h"

#include "backend/cpu/kernels/targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/bf16.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tempera {
namespace HWY_NAMESPACE {

void expand(const bf16* x, float* y, int64_t n) {
  for_each_vector(0, n, [&](auto d, int64_t i) HWY_ATTR { store(d, load(d, x + i), y + i); });
}

void round(const float* x, bf16* y, int64_t n) {
  for_each_vector(0, n, [&](auto d, int64_t i) HWY_ATTR { store(d, load(d, x + i), y + i); });
}

void add_and_round(const float* x, const bf16* residual, bf16* y, int64_t n) {
  for_each_vector(0, n,
                  [&](auto d, int64_t i) HWY_ATTR { store(d, hn::Add(load(d, x + i), load(d, residual + i)), y + i); });
}

}  // namespace HWY_NAMESPACE
}  // namespace tempera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tempera {

HWY_EXPORT(expand);
HWY_EXPORT(round);
HWY_EXPORT(add_and_round);

void expand_bf16(const bf16* x, float* y, int64_t n) {
  HWY_DYNAMIC_DISPATCH(expand)(x, y, n);
}

void round_bf16(const float* x, const bf16* residual, bf16* y, int64_t n) {
  if (residual == nullptr) {
    HWY_DYNAMIC_DISPATCH(round)(x, y, n);
  } else {
    HWY_DYNAMIC_DISPATCH(add_and_round)(x, residual, y, n);
  }
}

}  // namespace tempera
#endif  // HWY_ONCE
