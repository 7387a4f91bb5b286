// LoHa: the element-wise product of two low-rank matrices, (w1_a . w1_b) o (w2_a . w2_b), times the scale. With the
// Tucker cores t1, t2, a side is the sum over i, j of w_a(i, out) t(i, j, kh, kw) w_b(j, in).
// Sources: Hyeon-Woo et al., "FedPara" (2021); LyCORIS, modules/loha.py.
#pragma once

#include "adapters/delta.h"

namespace tempera {

std::shared_ptr<const Delta> hadamard_delta(LayerParts& parts);

}  // namespace tempera
