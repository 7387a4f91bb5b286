#include "pipeline/metadata.h"

#include <algorithm>
#include <span>

#include "base/error.h"
#include "image/infotext.h"
#include "pipeline/settings_reader.h"
#include "sampling/names.h"
#include "source/catalog/hash_store.h"
#include "source/locate.h"
#include "source/tiny_vae.h"
#include "tempera/tempera.h"

namespace tempera {
namespace {

// The beginning of a file's hash as Civitai has it: 10 digits of the whole file, or 12 of the tensors alone.
std::string adapter_hash(const Adapter& adapter) {
  if (!adapter.tensor_hash.empty()) return adapter.tensor_hash.substr(0, 12);
  return known_hash(adapter.path).value_or("").substr(0, 10);
}

// "NAME: hash, NAME: hash", of the files whose hash is known.
std::string hashes_text(std::span<const AdapterUse> adapters) {
  std::vector<std::string> entries;
  for (const AdapterUse& use : adapters)
    if (const std::string hash = adapter_hash(*use.adapter); !hash.empty())
      entries.push_back(fmt::format("{}: {}", use.adapter->label, hash));
  return joined_list(entries);
}

// "word: hash, word: hash", 12 digits each, as A1111 writes them; of the files whose hash is known.
std::string hashes_text(const std::vector<WordEmbedding>& words) {
  std::vector<std::string> entries;
  for (const WordEmbedding& word : words)
    if (const std::optional<std::string> hash = word.file.empty() ? std::nullopt : known_hash(word.file))
      entries.push_back(fmt::format("{}: {}", word.word, hash->substr(0, 12)));
  return joined_list(entries);
}

// Options of the engine that change values, and are no names of files.
constexpr std::string_view kEngineFields[] = {"variant", "dtype", "attention", "eager", "vae_dtype"};

using Values = std::vector<std::pair<std::string, std::string>>;

void add(Values& values, std::string_view key, std::string value) {
  values.emplace_back(key, std::move(value));
}

// A1111's keys, which its readers know.
void add_sampling(Values& values, const ResolvedRequest& r, uint64_t seed) {
  const Request& request = r.request;
  add(values, "Steps", fmt::format("{}", *request.num_inference_steps));
  const SchedulerLabels labels = labels_of(r.scheduler_config);
  add(values, "Sampler", labels.sampler);
  add(values, "Schedule type", std::string(labels.schedule));
  add(values, "CFG scale", fmt::format("{}", *request.guidance_scale));
  add(values, "Seed", fmt::format("{}", seed));
  add(values, "Size", fmt::format("{}x{}", request.width, request.height));
  add(values, "RNG", request.rng == "cuda" ? "NV" : "CPU");
}

void add_models(Values& values, const EngineOptions& engine, const ModelSource& source, const TileGrid& tiles) {
  if (const std::optional<std::string> hash = known_hash(source.path)) add(values, "Model hash", hash->substr(0, 10));
  add(values, "Model", source.names.model);
  if (!engine.unet.empty()) add(values, "UNet", source.names.unet);
  if (!engine.unet_config.empty()) add(values, "UNet config", model_label(engine.unet_config));
  // A1111 has one key for both kinds of autoencoder, so a tiny one has a key of its own too.
  if (engine.tiny_vae == kModelsOwnTinyVae) {
    add(values, "VAE", std::string(kTinyVaeFolder));
    add(values, "tiny_vae", std::string(kModelsOwnTinyVae));
  } else if (!engine.tiny_vae.empty()) {
    add(values, "VAE", source.names.tiny_vae);
    add(values, "tiny_vae", source.names.tiny_vae);
  } else if (!engine.vae.empty()) {
    const std::vector<std::filesystem::path>& files = source.component("vae").files;
    const std::optional<std::string> hash = files.size() == 1 ? known_hash(files.front()) : std::nullopt;
    if (hash) add(values, "VAE hash", hash->substr(0, 10));
    add(values, "VAE", source.names.vae);
  }
  if (tiles.count() > 1) add(values, "vae_tile_size", fmt::format("{}", tiles.tile * tiles.scale));
  if (!engine.refiner.empty()) add(values, "Refiner", model_label(engine.refiner));
}

std::string upscaler_label(const std::string& name) {
  const auto known = std::ranges::find(kUpscalerNames, name, &UpscalerName::value);
  return std::string(known == kUpscalerNames.end() ? std::string_view(name) : known->label);
}

// Pictures that go in, the refiner and the second pass, under A1111's keys.
void add_passes(Values& values, const Request& request, std::span<const RecordedInput> inputs) {
  const bool second_pass = request.hires_scale != 1 || request.hires_size;
  const bool from_picture = !request.init_image.empty() || !request.latents.empty();
  if (from_picture && request.strength) add(values, "Denoising strength", fmt::format("{}", *request.strength));
  if (second_pass)
    add(values, from_picture ? "hires_strength" : "Denoising strength", fmt::format("{}", request.hires_strength));
  if (request.mask_blur != 0) add(values, "Mask blur", fmt::format("{}", request.mask_blur));
  if (request.refiner_start) add(values, "Refiner switch at", fmt::format("{}", *request.refiner_start));
  if (second_pass) {
    if (request.hires_size)
      add(values, "Hires resize", fmt::format("{}x{}", (*request.hires_size)[0], (*request.hires_size)[1]));
    else
      add(values, "Hires upscale", fmt::format("{}", request.hires_scale));
    if (request.hires_steps) add(values, "Hires steps", fmt::format("{}", *request.hires_steps));
    add(values, "Hires upscaler", upscaler_label(request.hires_upscaler));
  }
  for (const RecordedInput& input : inputs) {
    add(values, input.field, input.name);
    add(values, fmt::format("{} hash", input.field), input.sha256);
  }
}

}  // namespace

std::string parameters_text(const ResolvedRequest& r, const EngineOptions& engine, const ModelSource& source,
                            const TileGrid& tiles, uint64_t seed, std::span<const RecordedInput> inputs) {
  const Request& request = r.request;
  Infotext info{request.prompt, request.negative_prompt.value_or(""), {}};
  Values& values = info.values;
  add_sampling(values, r, seed);
  add_models(values, engine, source, tiles);
  add_passes(values, request, inputs);
  // Everything else that differs from its default, under diffusers' name (FieldTrait::in_metadata: no path of this
  // machine); clip_skip too, since "Clip skip" counts from 1.
  const Request plain;
  const EngineOptions plain_engine;
  if (request.negative_prompt && request.negative_prompt->empty()) add(values, "negative_prompt", "");  // not absent
  if (!request.prompt_embeds.empty() && request.prompt.empty())
    add(values, "prompt_embeds", std::filesystem::path(request.prompt_embeds).filename().string());
  if (!request.scheduler_config.empty()) add(values, "scheduler_config", request.scheduler_config);  // its text
  if (!engine.model_config.empty()) add(values, "model_config", model_label(engine.model_config));
  if (!engine.tokenizer.empty()) add(values, "tokenizer", model_label(engine.tokenizer));
  if (request.clip_skip) add(values, "clip_skip", fmt::format("{}", *request.clip_skip));
  for (const Field& field : request_fields()) {
    const bool of_engine = std::ranges::find(kEngineFields, field.name) != std::end(kEngineFields);
    if (!of_engine && !field.has(FieldTrait::in_metadata)) continue;
    const auto value = field.get(request, engine);
    const bool size = field.name == "original_size" || field.name == "target_size";
    const bool same_as_picture = size && value == fmt::format("{}x{}", request.width, request.height);
    if (value && value != field.get(plain, plain_engine) && !same_as_picture) add(values, field.name, *value);
  }
  if (!request.textual_inversion.empty())  // "NAME:WORD" each (planning.h)
    add(values, "textual_inversion", joined_list(request.textual_inversion));
  if (std::string hashes = hashes_text(r.words); !hashes.empty()) add(values, "TI hashes", std::move(hashes));
  if (!request.lora.empty()) add(values, "lora", joined_list(request.lora));
  if (std::string hashes = hashes_text(r.adapters); !hashes.empty()) add(values, "Lora hashes", std::move(hashes));
  add(values, "Version", fmt::format("tempera {}", version()));
  // Prompts that do not read back from the free text, such as one with a line "Negative prompt:". A reader that finds
  // `prompt` here does not read the free text.
  const Infotext read = parse_infotext(format_infotext(info));
  if (read.prompt != info.prompt || read.negative_prompt != info.negative_prompt) {
    add(values, "prompt", info.prompt);
    if (!info.negative_prompt.empty()) add(values, "negative_prompt", info.negative_prompt);
  }
  return format_infotext(info);
}

}  // namespace tempera
