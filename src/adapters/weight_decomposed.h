// DoRA: W becomes W + weight (g y / |y| - W) with y = W + delta. g is the part `dora_scale`. The length |y| is that of
// each row, or that of each input channel (over rows and kernel) if dora_scale has the shape (1, in, 1, 1). A row of
// zeros stays zero.
//
// Between the weights 0 and 1 this is linear, as in LyCORIS' functional/general.py (apply_dora_scale), ComfyUI and
// A1111. LyCORIS' modules give another result there: at weight 0 they keep the delta. LyCORIS' modules and ComfyUI also
// add 1.2e-7 to |y|, which is less than the rounding of lengths above 1. Source: Liu et al., "DoRA" (2024).
#pragma once

#include "adapters/delta.h"

namespace tempera {

// `delta`: any additive formula. Reads every element of the parameter twice, first for the lengths. These are kept when
// the factors are released.
std::shared_ptr<const Change> weight_decomposed_change(LayerParts& parts, std::shared_ptr<const Delta> delta);

}  // namespace tempera
