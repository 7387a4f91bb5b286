// The names of tensors in adapter files. A name has three pieces: the component, the module in one of its spellings,
// and the part of the formula. All families of files are read by the same three tables.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "adapters/layer.h"

namespace tempera {

// A name without its component: "unet.mid_block.attentions.0.proj_in.lora_A.weight" is the module
// "unet_mid_block_attentions_0_proj_in" and the part "lora_down".
struct AdapterKey {
  std::string module;     // with '_' in the place of '.', because kohya's files have only that
  std::string_view part;  // as in AdapterLayer::parts, and "diff_b", "w_norm", "b_norm"
};

// Nothing if the name ends in no known part. The endings:
//   kohya, LyCORIS, OneTrainer  .lora_down.weight, .alpha, .hada_w1_a and so on
//   diffusers, older            .processor.to_q_lora.down.weight, .lora.down.weight, .lora_linear_layer.down.weight
//   PEFT                        .lora_A.weight, .lora_A.ADAPTER.weight, .lora_magnitude_vector[.ADAPTER][.weight]
// "X.weight" is the part "weight" (IA3) of the module X.
std::optional<AdapterKey> split_adapter_key(std::string_view key);

// The dictionary of a model. It is made once for a model; a lookup does not depend on the number of parameters.
class AdapterNames {
 public:
  enum class Spelling : uint8_t { canonical, ldm };

  struct Place {
    uint32_t parameter = 0;  // its index in parameters()
    std::string_view part;   // as in AdapterLayer::parts
    Spelling spelling = Spelling::canonical;
    bool in_block = false;  // of the UNet: in one of the down, mid and up blocks, in either spelling
  };

  explicit AdapterNames(std::span<const ModelParameter> parameters);

  // The place of a tensor. Nothing if it has no known part, or if the model does not have its module or its bias.
  // Components are marked by one of these beginnings, with '.' or '_':
  //   unet            lora_unet, unet, model.diffusion_model, diffusion_model, or nothing
  //   text_encoder    lora_te1, lora_te, text_encoder, clip_l, text_encoders.clip_l.transformer
  //   text_encoder_2  lora_te2, text_encoder_2, clip_g, text_encoders.clip_g.transformer
  // after base_model.model (PEFT) or lycoris (LyCORIS), if the name begins with them. Modules of text encoders may lack
  // "text_model".
  std::optional<Place> find(std::string_view key) const;

  std::span<const ModelParameter> parameters() const { return parameters_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Module {
    uint32_t weight = kNone, bias = kNone;
    Spelling spelling = Spelling::canonical;
    bool in_block = false;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  void add(std::string_view component, std::string_view name, Spelling spelling, uint32_t parameter);

  std::vector<ModelParameter> parameters_;
  std::unordered_map<std::string, Module, Hash, std::equal_to<>> modules_;  // "unet:mid_block_attentions_0_proj_in"
};

}  // namespace tempera
