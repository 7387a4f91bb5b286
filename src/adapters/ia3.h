// IA3: W becomes W (1 + weight v). v has one element for each row, or for each input channel if the part on_input is
// not 0. Sources: Liu et al., "Few-Shot Parameter-Efficient Fine-Tuning" (2022); LyCORIS, modules/ia3.py.
#pragma once

#include "adapters/change.h"
#include "adapters/layer_parts.h"

namespace tempera {

std::shared_ptr<const Change> ia3_change(LayerParts& parts);

}  // namespace tempera
