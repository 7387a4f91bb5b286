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
  // Hidden states to give, counted from the end as diffusers' clip_skip does: 0 is the penultimate, 1 the one before
  // it. Each becomes the output "hidden.<skip>" (N, T, C) f32.
  std::vector<int> skips = {0};
  // Also the output "pooled" (N, P) f32: the projected last state at the end token. Needs a projection.
  bool pooled = false;
  DType dtype = DType::f32;
};

// Inputs "ids" (N, T) i32, "positions" (1, T) i32 (0, 1, ...) and, for pooled, "eos" (N) i32: the position of the end
// token. Throws Error(invalid_argument) when a skip leaves no layer.
Graph clip_text_graph(const ClipConfig& config, const ClipGraphOptions& options);

}  // namespace tempera
