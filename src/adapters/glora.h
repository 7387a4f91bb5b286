// GLoRA: W becomes W + weight scale (W . a1 . a2 + b1 . b2), where a1 . a2 acts on the input channels. LyCORIS stores
// a1 (in, rank), a2 (rank, in), b1 (out, rank), b2 (rank, in kh kw). Older files have the factors the other way round:
// a2 (in, rank), a1 (rank, in), b2 (out, rank), b1 (rank, in). If both fit, the former is read.
// Sources: Chavan et al., "One-for-All" (2023); LyCORIS, modules/glora.py; ComfyUI for the older files.
#pragma once

#include "adapters/change.h"
#include "adapters/layer_parts.h"

namespace tempera {

// Reads every element of the parameter twice, first for W . a1.
std::shared_ptr<const Change> glora_change(LayerParts& parts);

}  // namespace tempera
