#include "weights/canonical.h"

#include <array>
#include <string>
#include <utility>

namespace tempera {
namespace {
constexpr std::string_view kTextModel = "text_model.";

// The VAE's attention before diffusers 0.17, after "attentions.0.".
constexpr std::array kOldAttention = {
    std::pair<std::string_view, std::string_view>{"query.", "to_q."},
    std::pair<std::string_view, std::string_view>{"key.", "to_k."},
    std::pair<std::string_view, std::string_view>{"value.", "to_v."},
    std::pair<std::string_view, std::string_view>{"proj_attn.", "to_out.0."},
};
}  // namespace

std::optional<Source> canonical_text(std::string_view name) {
  if (name.ends_with("position_ids") || name == "logit_scale") return std::nullopt;
  // transformers before 5.6 wrote "text_model.encoder...", later ones write "encoder..." in one of the two classes.
  const bool has_prefix = name.starts_with(kTextModel) || name.starts_with("text_projection.");
  return Source{has_prefix ? std::string(name) : std::string(kTextModel).append(name)};
}

std::optional<Source> canonical_vae(std::string_view name) {
  constexpr std::string_view kAttention = ".attentions.0.";
  const size_t at = name.find(kAttention);
  if (at == std::string_view::npos) return Source{std::string(name)};
  const std::string_view before = name.substr(0, at + kAttention.size());
  const std::string_view after = name.substr(before.size());
  for (const auto& [old_name, new_name] : kOldAttention) {
    if (after.starts_with(old_name)) {
      return Source{std::string(before).append(new_name).append(after.substr(old_name.size())), Transform::squeeze};
    }
  }
  return Source{std::string(name), after.starts_with("to_") ? Transform::squeeze : Transform::none};
}

std::optional<Source> canonical_unet(std::string_view name) {
  const bool projection = name.ends_with(".proj_in.weight") || name.ends_with(".proj_out.weight");
  return Source{std::string(name), projection ? Transform::squeeze : Transform::none};
}

std::optional<Source> canonical_as_given(std::string_view name) {
  return Source{std::string(name)};
}

}  // namespace tempera
