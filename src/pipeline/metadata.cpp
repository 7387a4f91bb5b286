#include "pipeline/metadata.h"

#include <array>

#include "base/error.h"
#include "image/infotext.h"
#include "models/components.h"
#include "source/tiny_vae.h"
#include "source/unet_source.h"
#include "tempera/tempera.h"

namespace tempera {
namespace {

// The names of samplers in other programs.
std::string sampler_label(const SchedulerConfig& c) {
  struct Label {
    std::string_view class_name, label;
  };
  static constexpr std::array<Label, 14> kLabels = {{{"EulerDiscreteScheduler", "Euler"},
                                                     {"EulerAncestralDiscreteScheduler", "Euler a"},
                                                     {"DDIMScheduler", "DDIM"},
                                                     {"DDPMScheduler", "DDPM"},
                                                     {"DPMSolverMultistepScheduler", "DPM++ 2M"},
                                                     {"DPMSolverSinglestepScheduler", "DPM++ 2S"},
                                                     {"HeunDiscreteScheduler", "Heun"},
                                                     {"LMSDiscreteScheduler", "LMS"},
                                                     {"PNDMScheduler", "PLMS"},
                                                     {"UniPCMultistepScheduler", "UniPC"},
                                                     {"DEISMultistepScheduler", "DEIS"},
                                                     {"KDPM2DiscreteScheduler", "DPM2"},
                                                     {"KDPM2AncestralDiscreteScheduler", "DPM2 a"},
                                                     {"LCMScheduler", "LCM"}}};
  std::string label = c.class_name;
  for (const Label& l : kLabels)
    if (l.class_name == c.class_name) label = l.label;
  if (c.algorithm_type == "sde-dpmsolver++") label += " SDE";
  return label;
}

std::string_view schedule_label(const SchedulerConfig& c) {
  if (c.use_karras_sigmas) return "Karras";
  if (c.use_exponential_sigmas) return "Exponential";
  if (c.use_beta_sigmas) return "Beta";
  return "Normal";
}

// The name of a file or folder, without its path and its ending.
std::string label_of(const std::string& file_or_folder) {
  const std::filesystem::path path = std::filesystem::path(file_or_folder).lexically_normal();
  return path.has_filename() ? path.stem().string() : path.parent_path().filename().string();
}

// Weights in diffusers folders all have the same name, and so have their folders: "other/unet".
std::string unet_label(const std::string& unet) {
  std::filesystem::path path = std::filesystem::absolute(unet).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (path.filename().string().starts_with(component_kind(kUnet).weights_stem())) path = path.parent_path();
  const std::string label = label_of(path.string());
  return label == kUnet ? (path.parent_path().filename() / label).string() : label;
}

std::string vae_label(const std::string& tiny_vae) {
  return tiny_vae == kModelsOwnTinyVae ? std::string(kTinyVaeFolder) : label_of(tiny_vae);
}

}  // namespace

std::string parameters_text(const ResolvedRequest& r, const EngineOptions& engine, const ModelSource& source,
                            const TileGrid& tiles, uint64_t seed) {
  const Request& request = r.request;
  Infotext info{request.prompt, request.negative_prompt.value_or(""), {}};
  const auto add = [&](std::string key, std::string value) {
    info.values.emplace_back(std::move(key), std::move(value));
  };
  add("Steps", fmt::format("{}", *request.num_inference_steps));
  add("Sampler", sampler_label(r.scheduler_config));
  add("Schedule type", std::string(schedule_label(r.scheduler_config)));
  add("CFG scale", fmt::format("{}", *request.guidance_scale));
  add("Seed", fmt::format("{}", seed));
  add("Size", fmt::format("{}x{}", request.width, request.height));
  add("Model", source.path.stem().string());
  if (!engine.unet.empty()) add("UNet", unet_label(engine.unet));
  if (!engine.unet_config.empty()) add("UNet config", label_of(engine.unet_config));
  if (!engine.tiny_vae.empty()) add("VAE", vae_label(engine.tiny_vae));
  if (tiles.count() > 1) add("vae_tile_size", fmt::format("{}", tiles.tile * tiles.scale));
  add("RNG", request.rng == "cuda" ? "NV" : "CPU");
  // Everything else that differs from its default, under diffusers' name (FieldTrait::in_metadata: no path of this
  // machine); clip_skip too, and first, since "Clip skip" counts from 1.
  const Request plain;
  if (request.clip_skip) add("clip_skip", fmt::format("{}", *request.clip_skip));
  for (const Field& field : request_fields()) {
    if (!field.has(FieldTrait::in_metadata)) continue;
    const auto value = field.get(request, engine);
    const bool size = field.name == "original_size" || field.name == "target_size";
    const bool same_as_picture = size && value == fmt::format("{}x{}", request.width, request.height);
    if (value && value != field.get(plain, engine) && !same_as_picture) add(std::string(field.name), *value);
  }
  add("Version", fmt::format("tempera {}", version()));
  return format_infotext(info);
}

}  // namespace tempera
