#include "adapters/change.h"

#include "adapters/difference.h"
#include "adapters/glora.h"
#include "adapters/hadamard.h"
#include "adapters/ia3.h"
#include "adapters/kronecker.h"
#include "adapters/low_rank.h"
#include "adapters/orthogonal.h"
#include "adapters/weight_decomposed.h"

namespace tempera {
namespace {

std::shared_ptr<const Delta> delta_of(LayerParts& parts) {
  if (parts.has("hada_w1_a")) return hadamard_delta(parts);
  if (parts.has("lokr_w1") || parts.has("lokr_w1_a")) return kronecker_delta(parts);
  if (parts.has("diff")) return difference_delta(parts);
  return low_rank_delta(parts);
}

std::shared_ptr<const Change> change_of(LayerParts& parts) {
  if (parts.has("oft_blocks") || parts.has("oft_diag")) return orthogonal_change(parts);
  if (parts.has("a1")) return glora_change(parts);
  if (parts.has("weight")) return ia3_change(parts);
  std::shared_ptr<const Delta> delta = delta_of(parts);
  if (parts.has("dora_scale")) return weight_decomposed_change(parts, std::move(delta));
  return additive_change(std::move(delta), parts.shape());
}

}  // namespace

std::shared_ptr<const Change> make_change(const AdapterLayer& layer) {
  LayerParts parts(layer);
  std::shared_ptr<const Change> change = change_of(parts);
  parts.finish();
  return change;
}

}  // namespace tempera
