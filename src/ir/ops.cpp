#include "ir/ops.h"

#include <array>

namespace tempera {
namespace {

struct Row {
  size_t index;  // of the op's type in the variant
  OpKind kind;
  std::string_view name;
};

template <class T, size_t I = 0>
constexpr size_t index_of() {
  if constexpr (std::is_same_v<T, std::variant_alternative_t<I, Op>>) {
    return I;
  } else {
    return index_of<T, I + 1>();
  }
}

template <class T>
constexpr Row row(OpKind kind, std::string_view name) {
  return {index_of<T>(), kind, name};
}

constexpr std::array kRows = {
    row<Input>(OpKind::input, "input"),
    row<Weight>(OpKind::weight, "weight"),
    row<Conv2d>(OpKind::conv2d, "conv2d"),
    row<Linear>(OpKind::linear, "linear"),
    row<GegluLinear>(OpKind::geglu_linear, "geglu_linear"),
    row<GeluGate>(OpKind::gelu_gate, "gelu_gate"),
    row<GroupNorm>(OpKind::group_norm, "group_norm"),
    row<LayerNorm>(OpKind::layer_norm, "layer_norm"),
    row<Attention>(OpKind::attention, "attention"),
    row<Activate>(OpKind::activate, "activate"),
    row<Add>(OpKind::add, "add"),
    row<Scale>(OpKind::scale, "scale"),
    row<Concat>(OpKind::concat, "concat"),
    row<Upsample2x>(OpKind::upsample2x, "upsample2x"),
    row<Embed>(OpKind::embed, "embed"),
    row<GatherRow>(OpKind::gather_row, "gather_row"),
    row<TimestepEmbedding>(OpKind::timestep_embedding, "timestep_embedding"),
    row<View>(OpKind::view, "view"),
    row<Cast>(OpKind::cast, "cast"),
    row<BranchRows>(OpKind::branch_rows, "branch_rows"),
    row<ModelInput>(OpKind::model_input, "model_input"),
    row<Guidance>(OpKind::guidance, "guidance"),
    row<ThresholdSample>(OpKind::threshold_sample, "threshold_sample"),
    row<SamplerUpdate>(OpKind::sampler_update, "sampler_update"),
    row<BlendMask>(OpKind::blend_mask, "blend_mask"),
    row<ToRgb8>(OpKind::to_rgb8, "to_rgb8"),
};

constexpr bool rows_agree() {
  for (size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].index != i || static_cast<size_t>(kRows[i].kind) != i) return false;
  return true;
}
static_assert(kRows.size() == std::variant_size_v<Op> && kRows.size() == kOpKinds, "a row for every op and every kind");
static_assert(rows_agree(), "types, kinds and names in one order");

}  // namespace

std::string_view name(OpKind kind) {
  return kRows[static_cast<size_t>(kind)].name;
}

std::string_view name(Activation activation) {
  static constexpr std::array<std::string_view, 6> kNames = {"none", "silu", "gelu", "quick_gelu", "relu", "tanh"};
  return kNames[static_cast<size_t>(activation)];
}

}  // namespace tempera
