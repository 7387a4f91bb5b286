// DoRA, GLoRA, IA3 and OFT in double precision.
#include <cmath>
#include <utility>

#include "adapters/formula_cases.h"

namespace tempera {
namespace {

// W + weight (g y / |y| - W)
Values decomposed(const Values& w, const Values& delta, const Values& g, size_t rows, size_t taps, double weight) {
  const size_t columns = w.size() / rows;
  const bool of_rows = g.size() == rows;
  const Values y = plus(w, delta, 1);
  Values squares(g.size()), result(w.size());
  const auto index = [&](size_t i) { return of_rows ? i / columns : i % columns / taps; };
  for (size_t i = 0; i < y.size(); ++i) squares[index(i)] += y[i] * y[i];
  for (size_t i = 0; i < y.size(); ++i)
    result[i] = w[i] + weight * (g[index(i)] * y[i] / std::sqrt(squares[index(i)]) - w[i]);
  return result;
}

void add_decomposed(std::vector<FormulaCase>& cases) {
  const auto add = [&](std::string name, const Parameter& p, const std::vector<int64_t>& dims, int64_t rank,
                       Values delta) {
    const size_t rows = static_cast<size_t>(dims[0]), taps = dims.size() > 2 ? kTaps : 1;
    cases.push_back(make_case(std::move(name), p, dims, "DoRA", rank,
                              [=, delta = std::move(delta), g = p["dora_scale"]](const Values& w, double weight) {
                                return decomposed(w, delta, g, rows, taps, weight);
                              }));
    cases.back().reads_once = false;
  };
  for (const bool of_rows : {true, false}) {
    Parameter p(kLinear);
    p.add("lora_up", {kOut, 7}, DType::f16);
    p.add("lora_down", {7, kIn}, DType::f16);
    p.add_number("alpha", 3);
    p.add("dora_scale", of_rows ? std::vector<int64_t>{kOut, 1} : std::vector<int64_t>{1, kIn}, DType::f32);
    add(of_rows ? "DoraOfRows" : "DoraOfColumns", p, kLinear, 7,
        scaled(product(p["lora_up"], p["lora_down"], 7), 3.0 / 7));
  }
  for (const bool of_rows : {true, false}) {
    Parameter p(kConv);
    p.add("lokr_w1", {4, 3}, DType::f16);
    p.add("lokr_w2_a", {kConvOut / 4, 2}, DType::f16);
    p.add("lokr_w2_b", {2, kConvIn / 3 * kTaps}, DType::f16);
    p.add("dora_scale", of_rows ? std::vector<int64_t>{kConvOut, 1, 1, 1} : std::vector<int64_t>{1, kConvIn, 1, 1},
          DType::f16);
    add(of_rows ? "DoraOfConv" : "DoraOfInputChannels", p, kConv, 2,
        kronecker(p["lokr_w1"], 3, product(p["lokr_w2_a"], p["lokr_w2_b"], 2), kConvIn / 3, kTaps));
  }
  Parameter p(kLinear);
  p.add("diff", kLinear, DType::f16);
  p.add("dora_scale", {kOut}, DType::f16);
  add("DoraOfDifference", p, kLinear, 0, p["diff"]);
  cases.back().reads_often = {"diff"};
}

// W . a . b, on the input channels
Values on_inputs(const Values& w, const Values& a, const Values& b, size_t rank, size_t taps) {
  const size_t in = a.size() / rank;
  const Values square = product(a, b, rank);
  Values x(w.size());
  for (size_t o = 0; o < w.size() / in / taps; ++o)
    for (size_t i = 0; i < in; ++i)
      for (size_t j = 0; j < in; ++j)
        for (size_t t = 0; t < taps; ++t) x[(o * in + j) * taps + t] += w[(o * in + i) * taps + t] * square[i * in + j];
  return x;
}

void add_glora(std::vector<FormulaCase>& cases) {
  const auto add = [&](std::string name, const Parameter& p, const std::vector<int64_t>& dims, bool current,
                       size_t rank, double scale) {
    const Values &a_left = p[current ? "a1" : "a2"], &a_right = p[current ? "a2" : "a1"];
    const Values b = product(p[current ? "b1" : "b2"], p[current ? "b2" : "b1"], rank);
    const size_t taps = dims.size() > 2 ? kTaps : 1;
    cases.push_back(
        make_case(std::move(name), p, dims, "GLoRA", static_cast<int64_t>(rank), [=](const Values& w, double weight) {
          return plus(plus(w, b, weight * scale), on_inputs(w, a_left, a_right, rank, taps), weight * scale);
        }));
    cases.back().reads_once = false;
  };
  Parameter p(kLinear);
  p.add("a1", {kIn, 4}, DType::f16);
  p.add("a2", {4, kIn}, DType::f16);
  p.add("b1", {kOut, 4}, DType::f16);
  p.add("b2", {4, kIn}, DType::f16);
  p.add_number("alpha", 1);
  add("Glora", p, kLinear, true, 4, 0.25);

  Parameter conv(kConv);
  conv.add("a1", {kConvIn, 5, 1, 1}, DType::f16);
  conv.add("a2", {5, kConvIn, 1, 1}, DType::f16);
  conv.add("b1", {kConvOut, 5, 1, 1}, DType::f16);
  conv.add("b2", {5, kConvIn, 3, 3}, DType::f16);
  add("GloraOfConv", conv, kConv, true, 5, 1);

  Parameter old(kLinear);
  old.add("a2", {kIn, 4}, DType::f16);
  old.add("a1", {4, kIn}, DType::f16);
  old.add("b2", {kOut, 4}, DType::f16);
  old.add("b1", {4, kIn}, DType::f16);
  add("GloraOfOldFiles", old, kLinear, false, 4, 1);
}

void add_ia3(std::vector<FormulaCase>& cases) {
  const auto add = [&](std::string name, const Parameter& p, const std::vector<int64_t>& dims, bool on_input) {
    const size_t rows = static_cast<size_t>(dims[0]), taps = dims.size() > 2 ? kTaps : 1;
    cases.push_back(make_case(std::move(name), p, dims, "IA3", 0, [=, v = p["weight"]](const Values& w, double weight) {
      const size_t columns = w.size() / rows;
      Values x(w);
      for (size_t i = 0; i < x.size(); ++i) x[i] *= 1 + weight * v[on_input ? i % columns / taps : i / columns];
      return x;
    }));
  };
  Parameter output(kLinear);
  output.add("weight", {kOut}, DType::f16);
  output.add_number("on_input", 0);
  add("Ia3", output, kLinear, false);
  Parameter old(kLinear);
  old.add("weight", {kIn}, DType::f16);
  old.add_bool("on_input", true);
  add("Ia3WithBool", old, kLinear, true);
  Parameter inputs(kConv);
  inputs.add("weight", {1, kConvIn, 1, 1}, DType::f16);
  inputs.add_number("on_input", 1);
  add("Ia3OnInput", inputs, kConv, true);
}

// The inverse by Gauss-Jordan elimination with pivots.
Values inverse(Values a, size_t n) {
  Values x(n * n);
  for (size_t i = 0; i < n; ++i) x[i * n + i] = 1;
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t i = k; i < n; ++i)
      if (std::abs(a[i * n + k]) > std::abs(a[pivot * n + k])) pivot = i;
    for (size_t j = 0; j < n; ++j) {
      std::swap(a[k * n + j], a[pivot * n + j]);
      std::swap(x[k * n + j], x[pivot * n + j]);
    }
    const double scale = a[k * n + k];
    for (size_t j = 0; j < n; ++j) {
      a[k * n + j] /= scale;
      x[k * n + j] /= scale;
    }
    for (size_t i = 0; i < n; ++i) {
      const double factor = a[i * n + k];
      for (size_t j = 0; i != k && j < n; ++j) {
        a[i * n + j] -= factor * a[k * n + j];
        x[i * n + j] -= factor * x[k * n + j];
      }
    }
  }
  return x;
}

// (I + Q) (I - Q)^-1 for each block, Q limited.
Values rotations(const Values& blocks, size_t n, double limit) {
  Values q(blocks.size()), result;
  double squares = 0;
  for (size_t b = 0; b < blocks.size(); b += n * n)
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j) {
        q[b + i * n + j] = blocks[b + i * n + j] - blocks[b + j * n + i];
        squares += q[b + i * n + j] * q[b + i * n + j];
      }
  const double factor = limit > 0 && std::sqrt(squares) > limit ? limit / std::sqrt(squares) : 1;
  for (size_t b = 0; b < blocks.size(); b += n * n) {
    Values sum(n * n), difference(n * n);
    for (size_t i = 0; i < n * n; ++i) {
      const double unit = i % (n + 1) == 0 ? 1 : 0;
      sum[i] = unit + factor * q[b + i];
      difference[i] = unit - factor * q[b + i];
    }
    const Values r = product(sum, inverse(difference, n), n);
    result.insert(result.end(), r.begin(), r.end());
  }
  return result;
}

void add_orthogonal(std::vector<FormulaCase>& cases) {
  const auto add = [&](std::string name, const Parameter& p, const std::vector<int64_t>& dims, size_t size,
                       Values rotation, Values rescale) {
    const size_t rows = static_cast<size_t>(dims[0]);
    cases.push_back(
        make_case(std::move(name), p, dims, "OFT", 0,
                  [=, r = std::move(rotation), s = std::move(rescale)](const Values& w, double weight) {
                    const size_t columns = w.size() / rows;
                    Values x(w);
                    for (size_t row = 0; row < rows; ++row)
                      for (size_t c = 0; c < columns; ++c) {
                        const size_t block = row / size;
                        double sum = 0;
                        for (size_t n = 0; n < size; ++n)
                          sum += r[(block * size + n) * size + row % size] * w[(block * size + n) * columns + c];
                        x[row * columns + c] += weight * ((s.empty() ? 1 : s[row]) * sum - w[row * columns + c]);
                      }
                    return x;
                  }));
    cases.back().reads_once = false;
  };
  Parameter p(kLinear);
  p.add("oft_blocks", {4, 18, 18}, DType::f16);
  p.add_number("alpha", 0.1f);
  add("Oft", p, kLinear, 18, rotations(p["oft_blocks"], 18, static_cast<double>(0.1f) * kOut), {});

  Parameter free(kConv);  // LyCORIS without constraint, with rescale
  free.add("oft_blocks", {5, 4, 4}, DType::bf16);
  free.add("rescale", {kConvOut, 1, 1, 1}, DType::f16);
  free.add_number("alpha", 0);
  add("OftWithRescale", free, kConv, 4, rotations(free["oft_blocks"], 4, 0), free["rescale"]);

  Parameter diag(kLinear);
  diag.add("oft_diag", {9, 8, 8}, DType::f16);
  add("OftDiag", diag, kLinear, 8, diag["oft_diag"], {});
}

}  // namespace

void add_multiplying_cases(std::vector<FormulaCase>& cases) {
  add_decomposed(cases);
  add_glora(cases);
  add_ia3(cases);
  add_orthogonal(cases);
}

}  // namespace tempera
