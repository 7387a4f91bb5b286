// CLIP's text transformer (Radford et al. 2021; transformers CLIPTextModel and CLIPTextModelWithProjection).
#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"
#include "models/config.h"

namespace tempera {

struct ClipGraphOptions {
  int batch = 1;
  int tokens = 77;
  // Indices of the hidden states that are outputs, counted from the end as in diffusers' clip_skip: 0 is the
  // penultimate, 1 the one before it. Each is an output "hidden.<skip>" (N, T, C) f32.
  std::vector<int> skips = {0};
  // Adds the output "pooled" (N, P) f32: the projected last state at the end token. Needs a projection.
  bool pooled = false;
  // Rows of an input "extra" (E, C): embeddings of tokens that are not in the vocabulary, for id V + i row i. 0: no
  // such input.
  int extra_tokens = 0;
  DType dtype = DType::f32;
};

// Inputs "ids" (N, T) i32, "positions" (1, T) i32 (0, 1, ...) and, for pooled, "eos" (N) i32: the position of the end
// token. Throws Error(invalid_argument) when a skip leaves no layer.
Graph clip_text_graph(const ClipConfig& config, const ClipGraphOptions& options);

}  // namespace tempera
