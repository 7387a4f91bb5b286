// The one-dimensional transforms of F(4, 3): four results of a convolution with three taps from six values, by six
// products instead of twelve (Lavin & Gray 2016, arXiv 1509.09308, section 4.3): results = A^T [(G taps) (B^T values)].
// In two dimensions every transform is applied to columns and then to rows. Compiled once per instruction set
// (Highway's foreach_target); the include guard is made for that.
#if defined(TEMPERA_BACKEND_CPU_KERNELS_WINOGRAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TEMPERA_BACKEND_CPU_KERNELS_WINOGRAD_INL_H_
#undef TEMPERA_BACKEND_CPU_KERNELS_WINOGRAD_INL_H_
#else
#define TEMPERA_BACKEND_CPU_KERNELS_WINOGRAD_INL_H_
#endif

#include "backend/cpu/kernels/winograd.h"

#include "backend/cpu/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tempera {
namespace HWY_NAMESPACE {

// y = B^T x.
template <class D, class V>
HWY_INLINE void transform_values(D d, const V (&x)[kWinogradPatch], V (&y)[kWinogradPatch]) {
  const V two = hn::Set(d, 2.0f), four = hn::Set(d, 4.0f), five = hn::Set(d, 5.0f);
  const V a = hn::NegMulAdd(four, x[2], x[4]), b = hn::NegMulAdd(four, x[1], x[3]);
  const V e = hn::Sub(x[4], x[2]), f = hn::Mul(two, hn::Sub(x[3], x[1]));
  y[0] = hn::MulAdd(four, x[0], hn::NegMulAdd(five, x[2], x[4]));
  y[1] = hn::Add(a, b);
  y[2] = hn::Sub(a, b);
  y[3] = hn::Add(e, f);
  y[4] = hn::Sub(e, f);
  y[5] = hn::MulAdd(four, x[1], hn::NegMulAdd(five, x[3], x[5]));
}

// y = G g.
template <class D, class V>
HWY_INLINE void transform_taps(D d, const V (&g)[3], V (&y)[kWinogradPatch]) {
  const V sixth = hn::Set(d, 1.0f / 6), twelfth = hn::Set(d, 1.0f / 12), middle = hn::Mul(sixth, g[1]);
  const V outer = hn::Mul(sixth, hn::Add(g[0], g[2])), half = hn::Mul(twelfth, g[1]);
  const V skewed = hn::MulAdd(sixth, g[2], hn::Mul(hn::Set(d, 1.0f / 24), g[0]));
  y[0] = hn::Mul(hn::Set(d, 0.25f), g[0]);
  y[1] = hn::Neg(hn::Add(outer, middle));
  y[2] = hn::Sub(middle, outer);
  y[3] = hn::Add(skewed, half);
  y[4] = hn::Sub(skewed, half);
  y[5] = g[2];
}

// y = A^T m.
template <class D, class V>
HWY_INLINE void transform_products(D d, const V (&m)[kWinogradPatch], V (&y)[kWinogradTile]) {
  const V two = hn::Set(d, 2.0f), four = hn::Set(d, 4.0f), eight = hn::Set(d, 8.0f);
  const V a = hn::Add(m[1], m[2]), b = hn::Sub(m[1], m[2]), e = hn::Add(m[3], m[4]), f = hn::Sub(m[3], m[4]);
  y[0] = hn::Add(hn::Add(m[0], a), e);
  y[1] = hn::MulAdd(two, f, b);
  y[2] = hn::MulAdd(four, e, a);
  y[3] = hn::Add(hn::MulAdd(eight, f, b), m[5]);
}

}  // namespace HWY_NAMESPACE
}  // namespace tempera
HWY_AFTER_NAMESPACE();

#endif  // include guard
