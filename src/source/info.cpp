// info(): what a model is, from its headers alone.
#include <fmt/ranges.h>

#include "base/error.h"
#include "sampling/config.h"
#include "source/open.h"
#include "source/tiny_vae.h"
#include "tempera/tempera.h"

namespace tempera {
namespace {

std::string summary(const ClipConfig& c) {
  return fmt::format("{} layers of {} channels, {} heads, {} tokens", c.num_hidden_layers, c.hidden_size,
                     c.num_attention_heads, c.max_position_embeddings);
}

std::string summary(const UnetConfig& c) {
  std::vector<std::string> levels;
  for (const UnetBlock& block : c.down)
    levels.push_back(fmt::format("{} channels x {} resnets, {} transformer layers", block.channels, block.resnets(),
                                 fmt::join(block.depths, "+")));
  return fmt::format("{}", fmt::join(levels, "; "));
}

std::string summary(const VaeConfig& c) {
  return fmt::format("{} channels, {} latent, scaling factor {}", fmt::join(c.block_out_channels, "/"),
                     c.latent_channels, c.scaling_factor);
}

std::string summary(const TinyVaeConfig& c) {
  return fmt::format("tiny autoencoder, {} channels", fmt::join(c.decoder_block_out_channels, "/"));
}

std::string summary(Component which, const ModelConfig& config) {
  switch (which) {
    case Component::text_encoder:
      return summary(*config.text_encoder);
    case Component::text_encoder_2:
      return summary(config.text_encoder_2);
    case Component::unet:
      return summary(config.unet);
    case Component::vae:
      return summary(config.vae);
  }
  return {};
}

std::string_view name_of(PredictionType type) {
  switch (type) {
    case PredictionType::epsilon:
      return "epsilon";
    case PredictionType::v_prediction:
      return "v_prediction";
    case PredictionType::sample:
      return "sample";
  }
  return "";
}

ComponentInfo describe(std::string_view name, const ComponentSource& component, std::string what) {
  std::string dtypes;
  for (const auto& [dtype, count] : component.parameters_by_dtype)
    dtypes += (dtypes.empty() ? "" : ", ") + std::string(tempera::name(dtype));
  return {std::string(name), static_cast<size_t>(component.parameters), dtypes, std::move(what)};
}

}  // namespace

ModelInfo info(const EngineOptions& engine, const LogSink& log) {
  const ModelSource source = open_model_of(engine, log);
  ModelInfo out;
  out.kind = fmt::format("{}, {}", source.kind(),
                         source.layout == ModelSource::Layout::diffusers_folder ? "diffusers folder" : "single file");
  out.path = source.path.string();
  out.file_bytes = source.file_bytes();
  for (const Component which : {Component::text_encoder, Component::text_encoder_2, Component::unet, Component::vae}) {
    const auto& component = source.components[static_cast<size_t>(which)];
    if (component) out.components.push_back(describe(name(which), *component, summary(which, source.config)));
  }
  if (const auto tiny = open_own_tiny_vae(source.path, source.config.vae))
    out.components.push_back(describe(kTinyVaeFolder, tiny->component, summary(tiny->config)));
  const SchedulerConfig scheduler = parse_scheduler_config(source.scheduler_config, source.scheduler_origin);
  out.scheduler = scheduler.class_name;
  out.prediction_type = name_of(scheduler.prediction_type);
  return out;
}

}  // namespace tempera
