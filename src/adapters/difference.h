// Full adapters: the difference of all values is stored, also for biases and norms. Scale: the part `scale`, or 1.
// Source: LyCORIS, modules/full.py and modules/norms.py.
#pragma once

#include "adapters/delta.h"

namespace tempera {

std::shared_ptr<const Delta> difference_delta(LayerParts& parts);

}  // namespace tempera
