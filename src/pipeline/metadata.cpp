#include "pipeline/metadata.h"

#include "base/error.h"
#include "image/infotext.h"
#include "sampling/names.h"
#include "source/tiny_vae.h"
#include "tempera/tempera.h"

namespace tempera {
namespace {

// The name of a file or folder, without its path and its ending.
std::string vae_label(const std::string& tiny_vae) {
  if (tiny_vae == kModelsOwnTinyVae) return std::string(kTinyVaeFolder);
  const std::filesystem::path path = std::filesystem::path(tiny_vae).lexically_normal();
  return path.has_filename() ? path.stem().string() : path.parent_path().filename().string();
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
  const SchedulerLabels labels = labels_of(r.scheduler_config);
  add("Sampler", labels.sampler);
  add("Schedule type", std::string(labels.schedule));
  add("CFG scale", fmt::format("{}", *request.guidance_scale));
  add("Seed", fmt::format("{}", seed));
  add("Size", fmt::format("{}x{}", request.width, request.height));
  add("Model", source.path.stem().string());
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
