// OFT: the rows of W are divided into blocks of equal size; each block is multiplied by its own orthogonal matrix:
// W'(m) = sum over n of R(n, m) W(n), R = (I + Q) (I - Q)^-1, Q = B - B^T with the block B of oft_blocks (blocks, size,
// size). If alpha is more than 0, all Q together are scaled down to the Frobenius norm alpha * out where they exceed
// it. The part `rescale` (out) multiplies the rows of W'. The parameter becomes W + weight (W' - W), as in kohya's
// networks/oft.py, LyCORIS' functional/diag_oft.py and A1111. (LyCORIS' modules apply rescale at every weight in full.)
// oft_diag, of development versions of LyCORIS in 2023, has R itself. BOFT (four dimensions) is refused.
// Source: Qiu et al., "Controlling Text-to-Image Diffusion by Orthogonal Finetuning" (2023).
#pragma once

#include "adapters/change.h"
#include "adapters/layer_parts.h"

namespace tempera {

// A block of rows is read for each tile of its rows. The matrices R are in memory while the parameter is read: out *
// size floats.
std::shared_ptr<const Change> orthogonal_change(LayerParts& parts);

}  // namespace tempera
