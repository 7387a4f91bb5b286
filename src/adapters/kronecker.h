// LoKr: the Kronecker product w1 (x) w2, times the scale. Each side is stored whole or as a product w_a . w_b; w2 also
// with the Tucker core t2, as in LoHa. If both sides are whole, alpha is not read: the scale is 1, or the part `scale`.
// Sources: LyCORIS, modules/lokr.py and functional/lokr.py.
#pragma once

#include "adapters/delta.h"

namespace tempera {

// In LyCORIS' files w1 is the smaller side. It is in memory while the parameter is read. A whole w2 is read tile by
// tile.
std::shared_ptr<const Delta> kronecker_delta(LayerParts& parts);

}  // namespace tempera
