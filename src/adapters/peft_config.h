// PEFT's configuration of a LoRA, which diffusers writes into the metadata of a file (key lora_adapter_metadata): JSON
// with LoraConfig's members, each with the name of its component before it ("unet.lora_alpha").
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/layer.h"

namespace tempera {

class PeftConfig {
 public:
  // `what`: the file, for messages. Throws Error(bad_file): not JSON, or a member of another type; an alpha_pattern
  // that is a regular expression and not the name of modules.
  PeftConfig(const std::map<std::string, std::string>& metadata, std::string_view what);

  // alpha / rank, or alpha / sqrt(rank) with use_rslora. Alpha is that of the key of alpha_pattern that is the name of
  // the module or the end of it, else lora_alpha. The rank is that of the tensors, which r and rank_pattern repeat.
  // Nothing if there is no alpha. Throws Error(bad_file) if two keys give the module different alphas. Source:
  // LoraLayer.update_layer and get_pattern_key of PEFT.
  std::optional<float> scale(const ModelParameter& parameter, int64_t rank) const;

 private:
  struct Component {
    std::optional<double> alpha;
    std::vector<std::pair<std::string, double>> patterns;  // name of modules -> alpha
    bool rank_stabilised = false;
  };
  std::string what_;
  std::map<std::string, Component, std::less<>> components_;
};

}  // namespace tempera
