// Linear and GegluLinear: one dot product per output element.
#include "backend/reference/epilogue.h"
#include "backend/reference/kernels.h"
#include "base/parallel.h"

namespace tempera::reference {
namespace {

// Calls element(row, column, x, w) for every row of x and every column of the output. x is the row, w the column's row
// of weights.
template <class Element>
void for_each_product(Operand& rows, Operand& weights, int64_t columns, int64_t depth, const Element& element) {
  const float *x = rows.load(), *w = weights.load();
  parallel_for(columns, 1, [&](int64_t begin, int64_t end) {
    for (int64_t column = begin; column < end; ++column)
      for (int64_t row = 0; row < rows.elements() / depth; ++row)
        element(row, column, x + row * depth, w + column * depth);
  });
}

}  // namespace

Launch bind_linear(const Problem& p, const Binding& b) {
  return [p, b, x = Operand(p, b, 0), w = Operand(p, b, 1)](Queue&) mutable {
    const auto& op = std::get<Linear>(p.op);
    const int64_t depth = p.inputs[1].shape[1], columns = p.inputs[1].shape[0];
    const Epilogue epilogue(p, b, op.bias, op.activation, op.residual);
    const Result out = result(p, b);
    for_each_product(x, w, columns, depth, [&](int64_t row, int64_t column, const float* left, const float* right) {
      const int64_t index = row * columns + column;
      out.set(index, epilogue(dot(left, right, depth), column, index));
    });
  };
}

Launch bind_geglu_linear(const Problem& p, const Binding& b) {
  return [p, b, x = Operand(p, b, 0), w = Operand(p, b, 1)](Queue&) mutable {
    const auto& op = std::get<GegluLinear>(p.op);
    const int64_t depth = p.inputs[1].shape[1], columns = p.inputs[1].shape[0] / 2;
    const Epilogue epilogue(p, b, op.bias, Activation::none, false);
    const Result out = result(p, b);
    for_each_product(x, w, columns, depth, [&](int64_t row, int64_t column, const float* left, const float* right) {
      const double value = epilogue.biased(dot(left, right, depth), column);
      const double gate = epilogue.biased(dot(left, right + columns * depth, depth), columns + column);
      out.set(row * columns + column, value * gelu(gate));
    });
  };
}

}  // namespace tempera::reference
