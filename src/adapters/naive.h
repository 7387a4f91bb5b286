// The matrix products of formulas in double precision, as plain loops: the reference of tests.
#pragma once

#include <cstddef>
#include <vector>

namespace tempera {

using Values = std::vector<double>;

// a (m, k) . b (k, n)
inline Values product(const Values& a, const Values& b, size_t k) {
  const size_t m = a.size() / k, n = b.size() / k;
  Values c(m * n);
  for (size_t i = 0; i < m; ++i)
    for (size_t j = 0; j < n; ++j)
      for (size_t l = 0; l < k; ++l) c[i * n + j] += a[i * k + l] * b[l * n + j];
  return c;
}

inline Values transposed(const Values& a, size_t columns) {
  const size_t rows = a.size() / columns;
  Values t(a.size());
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c) t[c * rows + r] = a[r * columns + c];
  return t;
}

// x(o, i, t) = sum over p, q of up(o, p) core(p, q, t) down(q, i)
inline Values tucker(const Values& up, const Values& core, const Values& down, size_t p_count, size_t q_count) {
  const size_t out = up.size() / p_count, in = down.size() / q_count, taps = core.size() / p_count / q_count;
  Values x(out * in * taps);
  for (size_t o = 0; o < out; ++o)
    for (size_t i = 0; i < in; ++i)
      for (size_t t = 0; t < taps; ++t)
        for (size_t p = 0; p < p_count; ++p)
          for (size_t q = 0; q < q_count; ++q)
            x[(o * in + i) * taps + t] += up[o * p_count + p] * core[(p * q_count + q) * taps + t] * down[q * in + i];
  return x;
}

// The Kronecker product of (o1, i1) and (o2, i2, taps).
inline Values kronecker(const Values& a, size_t i1, const Values& b, size_t i2, size_t taps) {
  const size_t o1 = a.size() / i1, o2 = b.size() / i2 / taps;
  Values x(a.size() * b.size());
  for (size_t o = 0; o < o1 * o2; ++o)
    for (size_t i = 0; i < i1 * i2; ++i)
      for (size_t t = 0; t < taps; ++t)
        x[(o * i1 * i2 + i) * taps + t] = a[o / o2 * i1 + i / i2] * b[(o % o2 * i2 + i % i2) * taps + t];
  return x;
}

inline Values hadamard(Values a, const Values& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] *= b[i];
  return a;
}

inline Values plus(Values a, const Values& b, double factor) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += factor * b[i];
  return a;
}

inline Values scaled(Values values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

}  // namespace tempera
