#include "models/components.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "models/config_json.h"
#include "models/config_writer.h"

namespace tempera {
namespace {

ComponentConfig parse_clip(std::string_view text, std::string_view what) {
  return parse_clip_config(text, what, false);
}

ComponentConfig parse_projecting_clip(std::string_view text, std::string_view what) {
  return parse_clip_config(text, what, true);
}

ComponentConfig parse_unet(std::string_view text, std::string_view what) {
  return parse_unet_config(text, what);
}

ComponentConfig parse_vae(std::string_view text, std::string_view what) {
  return parse_vae_config(text, what);
}

ComponentConfig parse_tiny_vae(std::string_view text, std::string_view what) {
  return parse_tiny_vae_config(text, what);
}

template <auto kMember>
std::optional<ComponentConfig> get(const ModelConfig& model) {
  if constexpr (requires { (model.*kMember).has_value(); }) {
    return (model.*kMember) ? std::optional<ComponentConfig>(*(model.*kMember)) : std::nullopt;
  } else {
    return model.*kMember;
  }
}

template <class Config, auto kMember>
void set(ModelConfig& model, ComponentConfig config) {
  model.*kMember = std::get<Config>(std::move(config));
}

constexpr std::array kKinds = {
    ComponentKind{"text_encoder", "transformers", "CLIPTextModel", true, true, parse_clip,
                  get<&ModelConfig::text_encoder>, set<ClipConfig, &ModelConfig::text_encoder>},
    ComponentKind{"text_encoder_2", "transformers", "CLIPTextModelWithProjection", false, true, parse_projecting_clip,
                  get<&ModelConfig::text_encoder_2>, set<ClipConfig, &ModelConfig::text_encoder_2>},
    ComponentKind{"unet", "diffusers", "UNet2DConditionModel", false, false, parse_unet, get<&ModelConfig::unet>,
                  set<UnetConfig, &ModelConfig::unet>},
    ComponentKind{"vae", "diffusers", "AutoencoderKL", false, false, parse_vae, get<&ModelConfig::vae>,
                  set<VaeConfig, &ModelConfig::vae>},
    ComponentKind{"vae_tiny", "diffusers", "AutoencoderTiny", true, false, parse_tiny_vae, nullptr, nullptr},
};

std::string in_words(const ClipConfig& c) {
  return fmt::format("{} layers of {} channels, {} heads, {} tokens", c.num_hidden_layers, c.hidden_size,
                     c.num_attention_heads, c.max_position_embeddings);
}

std::string in_words(const UnetConfig& c) {
  std::vector<std::string> levels;
  for (const UnetBlock& block : c.down)
    levels.push_back(fmt::format("{} channels x {} resnets, {} transformer layers", block.channels, block.resnets(),
                                 fmt::join(block.depths, "+")));
  return fmt::format("{}", fmt::join(levels, "; "));
}

std::string in_words(const VaeConfig& c) {
  return fmt::format("{} channels, {} latent, scaling factor {}", fmt::join(c.block_out_channels, "/"),
                     c.latent_channels, c.scaling_factor);
}

std::string in_words(const TinyVaeConfig& c) {
  return fmt::format("tiny autoencoder, {} channels", fmt::join(c.decoder_block_out_channels, "/"));
}

}  // namespace

std::span<const ComponentKind> component_kinds() {
  return kKinds;
}

const ComponentKind& component_kind(std::string_view name) {
  const auto row = std::ranges::find(kKinds, name, &ComponentKind::name);
  TEMPERA_ASSERT(row != kKinds.end());
  return *row;
}

NamedConfigs component_configs(const ModelConfig& model) {
  NamedConfigs configs;
  for (const ComponentKind& kind : kKinds) {
    if (!kind.in_models()) continue;
    if (auto config = kind.get(model)) configs.emplace_back(kind.name, std::move(*config));
  }
  return configs;
}

void check_config(const ComponentConfig& config, std::string_view source) {
  std::visit([&](const auto& c) { check(c, source); }, config);
}

std::string config_json(const ComponentConfig& config) {
  return std::visit([](const auto& c) { return to_json(c); }, config);
}

std::vector<Parameter> parameters_of(const ComponentConfig& config) {
  return std::visit([](const auto& c) { return parameters(c); }, config);
}

std::string summary(const ComponentConfig& config) {
  return std::visit([](const auto& c) { return in_words(c); }, config);
}

}  // namespace tempera
