// What an adapter file (a LoRA or one of its relatives) stores for one parameter of a model.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "weights/checkpoint.h"

namespace tempera {

// A parameter that adapters can change.
struct ModelParameter {
  std::string component;  // models/components.h: "unet", "text_encoder", "text_encoder_2"
  std::string name;       // canonical: "down_blocks.1.attentions.0.proj_in.weight"
  std::string
      ldm_name;  // in a single file, without the component's prefix: "input_blocks.4.1.proj_in.weight"; or empty
  std::vector<int64_t> dims;
};

// The tensors of one parameter. All families of files have the same names of parts here, those of kohya's and LyCORIS'
// files without ".weight": lora_down, lora_up, lora_mid, alpha, scale, dora_scale; hada_w1_a, hada_w1_b, hada_w2_a,
// hada_w2_b, hada_t1, hada_t2; lokr_w1, lokr_w1_a, lokr_w1_b, lokr_w2, lokr_w2_a, lokr_w2_b, lokr_t2; a1, a2, b1, b2
// (GLoRA); weight and on_input (IA3); oft_blocks, oft_diag, rescale; diff. The difference of a bias, and that of a norm
// (w_norm, b_norm), is a layer of its own with the part "diff".
struct AdapterLayer {
  ModelParameter parameter;
  std::map<std::string, CheckpointTensor, std::less<>> parts;
  std::string origin;  // the first tensor and the file, for messages (Checkpoint::origin)
};

}  // namespace tempera
