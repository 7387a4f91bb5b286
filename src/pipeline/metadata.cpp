#include "pipeline/metadata.h"

#include <fmt/ranges.h>

#include <span>

#include "base/error.h"
#include "image/infotext.h"
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
  std::string text;
  for (const AdapterUse& use : adapters)
    if (const std::string hash = adapter_hash(*use.adapter); !hash.empty())
      text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", use.adapter->label, hash);
  return text;
}

// "word: hash, word: hash", 12 digits each, as A1111 writes them; of the files whose hash is known.
std::string hashes_text(const std::vector<WordEmbedding>& words) {
  std::string text;
  for (const WordEmbedding& word : words)
    if (const std::optional<std::string> hash = word.file.empty() ? std::nullopt : known_hash(word.file))
      text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", word.word, hash->substr(0, 12));
  return text;
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
  if (const std::optional<std::string> hash = known_hash(source.path)) add("Model hash", hash->substr(0, 10));
  add("Model", source.names.model);
  if (!engine.unet.empty()) add("UNet", source.names.unet);
  if (!engine.unet_config.empty()) add("UNet config", model_label(engine.unet_config));
  if (engine.tiny_vae == kModelsOwnTinyVae) {
    add("VAE", std::string(kTinyVaeFolder));
  } else if (!engine.tiny_vae.empty()) {
    add("VAE", source.names.tiny_vae);
  } else if (!engine.vae.empty()) {
    const std::vector<std::filesystem::path>& files = source.component("vae").files;
    const std::optional<std::string> hash = files.size() == 1 ? known_hash(files.front()) : std::nullopt;
    if (hash) add("VAE hash", hash->substr(0, 10));
    add("VAE", source.names.vae);
  }
  if (tiles.count() > 1) add("vae_tile_size", fmt::format("{}", tiles.tile * tiles.scale));
  add("RNG", request.rng == "cuda" ? "NV" : "CPU");
  // Everything else that differs from its default, under diffusers' name (FieldTrait::in_metadata: no path of this
  // machine); clip_skip too, and first, since "Clip skip" counts from 1.
  const Request plain;
  if (request.negative_prompt && request.negative_prompt->empty()) add("negative_prompt", "");  // not as without one
  if (!request.prompt_embeds.empty() && request.prompt.empty())
    add("prompt_embeds", model_label(request.prompt_embeds));
  if (!request.scheduler_config.empty()) add("scheduler_config", request.scheduler_config);  // its text (resolve.cpp)
  if (!engine.model_config.empty()) add("model_config", model_label(engine.model_config));
  if (!engine.tokenizer.empty()) add("tokenizer", model_label(engine.tokenizer));
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
  if (const auto& words = request.textual_inversion; !words.empty())  // "NAME:WORD" each (planning.h)
    add("textual_inversion", fmt::format("{}", fmt::join(words, ", ")));
  if (std::string hashes = hashes_text(r.words); !hashes.empty()) add("TI hashes", std::move(hashes));
  if (!request.lora.empty()) add("lora", fmt::format("{}", fmt::join(request.lora, ", ")));
  if (std::string hashes = hashes_text(r.adapters); !hashes.empty()) add("Lora hashes", std::move(hashes));
  add("Version", fmt::format("tempera {}", version()));
  // Prompts that do not read back from the free text, such as one with a line "Negative prompt:".
  const Infotext read = parse_infotext(format_infotext(info));
  if (read.prompt != info.prompt) add("prompt", info.prompt);
  if (read.negative_prompt != info.negative_prompt) add("negative_prompt", info.negative_prompt);
  return format_infotext(info);
}

}  // namespace tempera
