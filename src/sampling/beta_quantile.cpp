// The quantile function of the symmetric beta distribution: the regularized incomplete beta function by its continued
// fraction (Lentz's method; Abramowitz and Stegun 26.5.8), inverted by bisection.
#include <cmath>

#include "sampling/sigmas.h"

namespace tempera {
namespace {

// I_x(a, a), to about 1e-15, for x in [0, 1/2], where the continued fraction converges fast.
double incomplete_beta(double x, double a) {
  if (x <= 0) return 0;
  constexpr double kTiny = 1e-300;
  constexpr int kTerms = 500;
  const auto guarded = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1;
  double d = 1 / guarded(1 - 2 * a * x / (a + 1));
  double fraction = d;
  for (int m = 1; m <= kTerms; ++m) {
    const double even = m * (a - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / guarded(1 + even * d);
    c = guarded(1 + even / c);
    fraction *= d * c;
    const double odd = -(a + m) * (2 * a + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / guarded(1 + odd * d);
    c = guarded(1 + odd / c);
    fraction *= d * c;
    if (std::abs(d * c - 1) < 1e-16) break;
  }
  const double log_front = std::lgamma(2 * a) - 2 * std::lgamma(a) + a * std::log(x) + a * std::log1p(-x);
  return std::exp(log_front) / a * fraction;
}

}  // namespace

double beta_quantile(double p, double shape) {
  if (p > 0.5) return 1 - beta_quantile(1 - p, shape);
  if (p <= 0) return 0;
  double low = 0;
  double high = 0.5;
  // Until the interval cannot be halved: the quantile to full relative precision, also near 0.
  for (double middle = 0.25; low < middle && middle < high; middle = low + (high - low) / 2) {
    (incomplete_beta(middle, shape) < p ? low : high) = middle;
  }
  return high;
}

}  // namespace tempera
