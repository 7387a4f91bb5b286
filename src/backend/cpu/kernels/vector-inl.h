// Vectors of f32 over f32 or bf16 storage, loops with remainders, and the activations. Compiled once per instruction
// set (Highway's foreach_target); the include guard is made for that.
#if defined(TEMPERA_BACKEND_CPU_KERNELS_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TEMPERA_BACKEND_CPU_KERNELS_VECTOR_INL_H_
#undef TEMPERA_BACKEND_CPU_KERNELS_VECTOR_INL_H_
#else
#define TEMPERA_BACKEND_CPU_KERNELS_VECTOR_INL_H_
#endif

#include <cstdint>
#include <type_traits>

#include "base/half.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "ir/ops.h"

HWY_BEFORE_NAMESPACE();
namespace tempera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using VectorTag = hn::ScalableTag<float>;
using ScalarTag = hn::CappedTag<float, 1>;  // for a remainder that does not fill a vector

template <class D>
HWY_INLINE hn::Vec<D> load(D d, const float* p) {
  return hn::LoadU(d, p);
}

template <class D>
HWY_INLINE hn::Vec<D> load(D d, const bf16* p) {
  const hn::Rebind<uint16_t, D> narrow;
  const hn::RebindToUnsigned<D> wide;
  const auto bits = hn::LoadU(narrow, reinterpret_cast<const uint16_t*>(p));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(wide, bits)));
}

template <class D>
HWY_INLINE void store([[maybe_unused]] D d, hn::Vec<D> v, float* p) {
  hn::StoreU(v, d, p);
}

// Rounds to nearest, ties to even; NaNs stay NaNs.
template <class D>
HWY_INLINE void store([[maybe_unused]] D d, hn::Vec<D> v, bf16* p) {
  const hn::Rebind<uint16_t, D> narrow;
  const hn::RebindToUnsigned<D> wide;
  const hn::RebindToSigned<D> wide_signed;
  const auto u = hn::BitCast(wide, v);
  const auto odd = hn::And(hn::ShiftRight<16>(u), hn::Set(wide, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(u, hn::Add(odd, hn::Set(wide, 0x7fff))));
  const auto nan = hn::Or(hn::ShiftRight<16>(u), hn::Set(wide, 0x40));
  const auto bits = hn::IfThenElse(hn::RebindMask(wide, hn::IsNaN(v)), nan, rounded);
  hn::StoreU(hn::DemoteTo(narrow, hn::BitCast(wide_signed, bits)), narrow, reinterpret_cast<uint16_t*>(p));
}

// f(d, i) for whole vectors, beginning at `begin`, then f with single elements for the rest up to `end`.
template <class F>
HWY_INLINE void for_each_vector(int64_t begin, int64_t end, const F& f) {
  const VectorTag d;
  const ScalarTag one;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes) f(d, i);
  for (; i < end; ++i) f(one, i);
}

// e^x for |x| <= 87, clamped to that range; relative error below 2e-7. Polynomial of Cephes' expf (Moshier). Adding 1.5
// * 2^23 rounds to an integer and leaves it in the low bits, from which it becomes the exponent.
template <class D, class V>
HWY_INLINE V exponential(D d, V x) {
  const hn::RebindToSigned<D> integer;
  const V magic = hn::Set(d, 0x1.8p23f);
  x = hn::Min(hn::Max(x, hn::Set(d, -87.0f)), hn::Set(d, 87.0f));
  const V t = hn::MulAdd(x, hn::Set(d, 1.44269504f), magic), n = hn::Sub(t, magic);
  const V r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x));
  V p = hn::MulAdd(r, hn::Set(d, 1.9875691500e-4f), hn::Set(d, 1.3981999507e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 8.3334519073e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1665795894e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666665459e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 5.0000001201e-1f));
  p = hn::MulAdd(hn::Mul(r, r), p, hn::Add(r, hn::Set(d, 1.0f)));
  return hn::BitCast(d, hn::Add(hn::BitCast(integer, p), hn::ShiftLeft<23>(hn::BitCast(integer, t))));
}

template <class D, class V>
HWY_INLINE V sigmoid(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, exponential(d, hn::Neg(x))));
}

// x Phi(x) with erfc as Abramowitz & Stegun 7.1.26 (|error| <= 1.5e-7), evaluated on the side where it is small. So the
// negative tail is precise.
template <class D, class V>
HWY_INLINE V gelu(D d, V x) {
  const V z = hn::Mul(hn::Abs(x), hn::Set(d, 0.70710678f));
  const V t = hn::Div(hn::Set(d, 1.0f), hn::MulAdd(z, hn::Set(d, 0.3275911f), hn::Set(d, 1.0f)));
  V p = hn::MulAdd(t, hn::Set(d, 1.061405429f), hn::Set(d, -1.453152027f));
  p = hn::MulAdd(p, t, hn::Set(d, 1.421413741f));
  p = hn::MulAdd(p, t, hn::Set(d, -0.284496736f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.254829592f));
  const V e = exponential(d, hn::Neg(hn::Mul(z, z)));
  const V tail = hn::Mul(hn::Mul(hn::Mul(p, t), e), hn::Set(d, 0.5f));  // Phi(-|x|)
  const V phi = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(hn::Set(d, 1.0f), tail));
  return hn::Mul(x, phi);
}

template <Activation kind, class D, class V>
HWY_INLINE V activate([[maybe_unused]] D d, V x) {
  if constexpr (kind == Activation::silu) return hn::Mul(x, sigmoid(d, x));
  if constexpr (kind == Activation::gelu) return gelu(d, x);
  if constexpr (kind == Activation::quick_gelu) return hn::Mul(x, sigmoid(d, hn::Mul(x, hn::Set(d, 1.702f))));
  if constexpr (kind == Activation::relu) return hn::Max(x, hn::Zero(d));
  if constexpr (kind == Activation::tanh) return hn::Tanh(d, x);
  return x;
}

// f(std::integral_constant<Activation, kind>): the switch is outside of the loop.
template <class F>
HWY_INLINE void with_activation(Activation kind, const F& f) {
  switch (kind) {
    case Activation::none:
      return f(std::integral_constant<Activation, Activation::none>());
    case Activation::silu:
      return f(std::integral_constant<Activation, Activation::silu>());
    case Activation::gelu:
      return f(std::integral_constant<Activation, Activation::gelu>());
    case Activation::quick_gelu:
      return f(std::integral_constant<Activation, Activation::quick_gelu>());
    case Activation::relu:
      return f(std::integral_constant<Activation, Activation::relu>());
    case Activation::tanh:
      return f(std::integral_constant<Activation, Activation::tanh>());
  }
}

// f(static_cast<T*>(p)) for the element type `type`, f32 or bf16.
template <class Void, class F>
HWY_INLINE void with_type(DType type, Void* p, const F& f) {
  using Float = std::conditional_t<std::is_const_v<Void>, const float, float>;
  using Bfloat = std::conditional_t<std::is_const_v<Void>, const bf16, bf16>;
  if (type == DType::f32) {
    f(static_cast<Float*>(p));
  } else {
    f(static_cast<Bfloat*>(p));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tempera
HWY_AFTER_NAMESPACE();

#endif  // include guard
