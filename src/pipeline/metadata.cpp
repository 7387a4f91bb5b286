#include "pipeline/metadata.h"

#include <array>

#include "base/error.h"
#include "image/infotext.h"
#include "source/tiny_vae.h"
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

// The name of a file or folder without its path, and without the ending of a file of weights. The dot in the name of a
// folder ("sdxl-base-1.0") begins no ending.
std::string name_of(const std::filesystem::path& given) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(given, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "sdxl/"
  return path.extension() == ".safetensors" ? path.stem().string() : path.filename().string();
}

std::string vae_label(const std::string& tiny_vae) {
  return tiny_vae == kModelsOwnTinyVae ? std::string(kTinyVaeFolder) : name_of(tiny_vae);
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
  add("Model", name_of(source.path));
  if (!engine.tiny_vae.empty()) add("VAE", vae_label(engine.tiny_vae));
  if (tiles.count() > 1) add("vae_tile_size", fmt::format("{}", tiles.tile * tiles.scale));
  add("RNG", request.rng == "cuda" ? "NV" : "CPU");
  // Everything else that differs from its default, under diffusers' name (FieldTrait::in_metadata: no path of this
  // machine); clip_skip too, and first, since "Clip skip" counts from 1.
  const Request plain;
  if (request.negative_prompt && request.negative_prompt->empty()) add("negative_prompt", "");  // not as without one
  if (!request.prompt_embeds.empty() && request.prompt.empty()) add("prompt_embeds", name_of(request.prompt_embeds));
  if (!request.scheduler_config.empty()) add("scheduler_config", request.scheduler_config);  // its text (resolve.cpp)
  if (!engine.model_config.empty()) add("model_config", name_of(engine.model_config));
  if (!engine.tokenizer.empty()) add("tokenizer", name_of(engine.tokenizer));
  if (!engine.variant.empty()) add("variant", engine.variant);
  if (engine.dtype != "auto") add("dtype", engine.dtype);
  if (engine.vae_dtype != "auto") add("vae_dtype", engine.vae_dtype);
  if (request.clip_skip) add("clip_skip", fmt::format("{}", *request.clip_skip));
  for (const Field& field : request_fields()) {
    if (!field.has(FieldTrait::in_metadata)) continue;
    const auto value = field.get(request, engine);
    const bool size = field.name == "original_size" || field.name == "target_size";
    const bool same_as_picture = size && value == fmt::format("{}x{}", request.width, request.height);
    if (value && value != field.get(plain, engine) && !same_as_picture) add(std::string(field.name), *value);
  }
  add("Version", fmt::format("tempera {}", version()));
  // Prompts that do not read back from the free text, such as one with a line "Negative prompt:".
  const Infotext read = parse_infotext(format_infotext(info));
  if (read.prompt != info.prompt) add("prompt", info.prompt);
  if (read.negative_prompt != info.negative_prompt) add("negative_prompt", info.negative_prompt);
  return format_infotext(info);
}

}  // namespace tempera
