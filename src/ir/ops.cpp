#include "ir/ops.h"

#include <array>

namespace tempera {

std::string_view name(OpKind kind) {
  static constexpr std::array<std::string_view, std::variant_size_v<Op>> kNames = {"input",
                                                                                   "weight",
                                                                                   "conv2d",
                                                                                   "linear",
                                                                                   "geglu_linear",
                                                                                   "gelu_gate",
                                                                                   "group_norm",
                                                                                   "layer_norm",
                                                                                   "attention",
                                                                                   "activate",
                                                                                   "add",
                                                                                   "scale",
                                                                                   "concat",
                                                                                   "upsample2x",
                                                                                   "embed",
                                                                                   "gather_row",
                                                                                   "timestep_embedding",
                                                                                   "view",
                                                                                   "cast",
                                                                                   "model_input",
                                                                                   "guidance",
                                                                                   "sampler_update",
                                                                                   "to_rgb8"};
  return kNames[static_cast<size_t>(kind)];
}

std::string_view name(Activation activation) {
  static constexpr std::array<std::string_view, 6> kNames = {"none", "silu", "gelu", "quick_gelu", "relu", "tanh"};
  return kNames[static_cast<size_t>(activation)];
}

}  // namespace tempera
