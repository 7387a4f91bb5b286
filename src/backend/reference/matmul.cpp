// Linear and GegluLinear: one dot product per output element.
#include "backend/reference/epilogue.h"
#include "backend/reference/kernels.h"
#include "base/parallel.h"

namespace tempera::reference {
namespace {

// Calls element(row, column, x, w) with the two vectors whose product is y[row][column], w of `columns` rows.
template <class Element>
void for_each_product(const Problem& p, const Binding& b, int64_t columns, const Element& element) {
  const int64_t rows = p.inputs[0].shape.rows(), depth = p.inputs[1].shape[1];
  with_type(p.inputs[0].dtype, [&](auto x_type) {
    with_type(p.inputs[1].dtype, [&](auto w_type) {
      const auto* x = reinterpret_cast<decltype(x_type)>(b.inputs[0]);
      const auto* w = reinterpret_cast<decltype(w_type)>(b.inputs[1]);
      parallel_for(columns, 1, [&](int64_t begin, int64_t end) {
        for (int64_t column = begin; column < end; ++column)
          for (int64_t row = 0; row < rows; ++row) element(row, column, x + row * depth, w + column * depth);
      });
    });
  });
}

}  // namespace

void linear(const Problem& p, const Binding& b) {
  const auto& op = std::get<Linear>(p.op);
  const int64_t depth = p.inputs[1].shape[1], columns = p.inputs[1].shape[0];
  const Epilogue epilogue(p, b, op.bias, op.activation, op.residual);
  const Result out = result(p, b);
  for_each_product(p, b, columns, [&](int64_t row, int64_t column, const auto* x, const auto* w) {
    const int64_t index = row * columns + column;
    out.set(index, epilogue(dot(x, w, 1, depth), column, index));
  });
}

void geglu_linear(const Problem& p, const Binding& b) {
  const auto& op = std::get<GegluLinear>(p.op);
  const int64_t depth = p.inputs[1].shape[1], columns = p.inputs[1].shape[0] / 2;
  const Epilogue epilogue(p, b, op.bias, Activation::none, false);
  const Result out = result(p, b);
  for_each_product(p, b, columns, [&](int64_t row, int64_t column, const auto* x, const auto* w) {
    const double value = epilogue.biased(dot(x, w, 1, depth), column);
    const double gate = epilogue.biased(dot(x, w + columns * depth, 1, depth), columns + column);
    out.set(row * columns + column, value * gelu(gate));
  });
}

}  // namespace tempera::reference
