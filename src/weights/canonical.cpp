#include "weights/canonical.h"

#include <array>
#include <utility>

#include "base/error.h"

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
}  // namespace

std::string_view name(Component component) {
  constexpr std::array<std::string_view, 4> kNames = {"text_encoder", "text_encoder_2", "unet", "vae"};
  return kNames[static_cast<size_t>(component)];
}

std::optional<Source> canonical_name(Component component, std::string_view name) {
  switch (component) {
    case Component::text_encoder:
    case Component::text_encoder_2:
      return canonical_text(name);
    case Component::vae:
      return canonical_vae(name);
    case Component::unet:
      break;
  }
  const bool projection = name.ends_with(".proj_in.weight") || name.ends_with(".proj_out.weight");
  return Source{std::string(name), projection ? Transform::squeeze : Transform::none};
}

void add_row(AdaptedCheckpoint::Table& table, const std::string& name, const Source& source, const Checkpoint& below) {
  const auto [at, is_new] = table.emplace(name, source);
  if (!is_new) {
    fail(ErrorCode::bad_file, "the tensors {} and {} are the same weight under two names",
         below.origin(at->second.name), below.origin(source.name));
  }
}

std::shared_ptr<const Checkpoint> with_canonical_names(std::shared_ptr<const Checkpoint> files, Component component) {
  AdaptedCheckpoint::Table table;
  for (const std::string& name : files->names()) {
    if (const auto canonical = canonical_name(component, name)) {
      add_row(table, canonical->name, {name, canonical->transform}, *files);
    }
  }
  return std::make_shared<AdaptedCheckpoint>(std::move(files), std::move(table));
}

}  // namespace tempera
