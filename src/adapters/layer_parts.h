// The parts of an adapter's layer, with checks. Every error names the layer, the parameter and the shapes.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/layer.h"
#include "adapters/tile.h"

namespace tempera {

// A part as a matrix: the first dimension by all others. It keeps its file open.
struct Factor {
  std::shared_ptr<const ElementReader> reader;
  MatrixShape shape;

  // All values, row-major. The pages of the file are given back.
  std::vector<float> read() const;
  // The same as (columns, rows).
  std::vector<float> read_transposed() const;
};

class LayerParts {
 public:
  // The parameter has elements. `layer` must live longer.
  explicit LayerParts(const AdapterLayer& layer);

  // Of the parameter (out, in, kh, kw): (out, in kh kw), kh kw and in. A vector of n is a matrix (1, n).
  MatrixShape shape() const { return shape_; }
  size_t taps() const { return taps_; }
  bool is_convolution() const { return layer_.parameter.dims.size() > 2; }
  size_t inputs() const { return shape_.columns / taps_; }

  bool has(std::string_view name) const { return layer_.parts.contains(name); }
  // Throws Error(bad_file) if the part is missing or empty.
  Factor factor(std::string_view name);
  const std::vector<int64_t>& dims(std::string_view name) const { return layer_.parts.find(name)->second.dims; }
  // A part of one element. Throws Error(bad_file) if it has others or is not finite.
  std::optional<float> number(std::string_view name);
  // Whether a part of one element, a number or a bool, is there and is not 0.
  bool flag(std::string_view name);
  // The scale of an adapter: the part `scale`, or alpha / rank, or 1.
  float scale(size_t rank);

  // Throws Error(bad_file) with the shape of a part unless `fits`.
  void require(bool fits, std::string_view name) const;
  // Throws Error(bad_file) if there are parts that no method above named. `alpha` and `scale` are in files of every
  // kind, also where the formula does not read them.
  void finish() const;

 private:
  const AdapterLayer& layer_;
  MatrixShape shape_;
  size_t taps_ = 1;
  std::set<std::string, std::less<>> used_;
};

}  // namespace tempera
