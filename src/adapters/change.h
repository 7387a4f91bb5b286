// The change that one layer of an adapter makes to one parameter. Values are computed while they are read, in float32,
// with buffers of limited size: nothing is stored for the time in which pictures are drawn.
#pragma once

#include <memory>

#include "adapters/layer.h"

namespace tempera {

class Change {
 public:
  virtual ~Change() = default;
  Change() = default;
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;

  // A reader of the changed parameter. `below`: the parameter before the change, with the dimensions of the layer.
  // `weight`: the multiplier of the adapter; with 0 the values are those of `below`.
  virtual std::shared_ptr<const ElementReader> over(std::shared_ptr<const ElementReader> below, float weight) const = 0;

  // "LoRA", "LoCon", "LoHa", "LoKr", "DoRA", "GLoRA", "IA3", "OFT", "full": the name of the formula.
  virtual std::string_view kind() const = 0;
  virtual int64_t rank() const = 0;  // 0 for formulas without one
};

// Throws Error(bad_file) that names the tensor: an unknown set of parts, parts whose shapes do not fit each other or
// the parameter.
std::shared_ptr<const Change> make_change(const AdapterLayer& layer);

}  // namespace tempera
