#include "convert/folder.h"

#include <array>
#include <nlohmann/json.hpp>
#include <span>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/json.h"
#include "models/config_writer.h"
#include "source/marks.h"
#include "source/unet_source.h"
#include "text/clip_vocabulary.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

void write_text(const fs::path& path, const std::string& text) {
  write_file_atomically(path, std::as_bytes(std::span(text)));
}

// A component alone is the folder itself.
fs::path folder_of(const ConvertedModel& model, const ConvertedPart& part) {
  return model.config ? fs::path(part.component) : fs::path();
}

// The files of the source if it has any.
void write_tokenizer(const fs::path& folder, const fs::path& source, Padding padding) {
  constexpr size_t kMaxBytes = size_t{64} << 20;
  constexpr std::array kNames = {
      "vocab.json",       "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
      "added_tokens.json"};
  fs::create_directories(folder);
  if (source.empty()) {
    const TokenizerTexts texts = clip_vocabulary_texts(padding);
    write_text(folder / "vocab.json", *texts.vocabulary);
    write_text(folder / "merges.txt", *texts.merges);
    write_text(folder / "tokenizer_config.json", *texts.config);
    return;
  }
  for (const char* name : kNames)
    if (fs::exists(source / name)) write_text(folder / name, read_text_file(source / name, kMaxBytes));
}

std::string scheduler_class(const ConvertedModel& model) {
  const nlohmann::json scheduler = scheduler_object(model.scheduler_config);
  const auto name = scheduler.is_null() ? scheduler.end() : scheduler.find("_class_name");
  const bool is_known = !scheduler.is_null() && name != scheduler.end() && name->is_string();
  return is_known ? name->get<std::string>() : "EulerDiscreteScheduler";
}

std::string index_of(const ConvertedModel& model) {
  nlohmann::ordered_json index = nlohmann::ordered_json::parse(model_index_json(*model.config, scheduler_class(model)));
  for (const ComponentKind& kind : component_kinds())
    if (kind.in_models() && model.find(kind.name) == nullptr) index[std::string(kind.name)] = {nullptr, nullptr};
  return index.dump(2) + "\n";
}

void write_rest_of_model(const ConvertedModel& model, const fs::path& folder) {
  if (model.config->text_encoder) write_tokenizer(folder / "tokenizer", model.tokenizer, Padding::first);
  write_tokenizer(folder / "tokenizer_2", model.tokenizer_2, Padding::second);
  if (!model.scheduler_config.empty()) {
    fs::create_directories(folder / "scheduler");
    write_text(folder / "scheduler" / "scheduler_config.json", model.scheduler_config);
  }
  const RequestDefaults usual;
  if (model.defaults.num_inference_steps != usual.num_inference_steps ||
      model.defaults.guidance_scale != usual.guidance_scale) {
    const nlohmann::ordered_json defaults = {{"num_inference_steps", model.defaults.num_inference_steps},
                                             {"guidance_scale", model.defaults.guidance_scale}};
    write_text(folder / "defaults.json", defaults.dump(2) + "\n");
  }
  write_text(folder / "model_index.json", index_of(model));
}
}  // namespace

FolderFiles folder_files(const ConvertedModel& model, const TensorTypes& types) {
  FolderFiles files;
  for (const ConvertedPart& part : model.parts) {
    const std::string name = fmt::format("{}.safetensors", component_kind(part.component).weights_stem());
    files.emplace_back(folder_of(model, part) / name, diffusers_tensors(part, types));
  }
  return files;
}

void write_folder(const ConvertedModel& model, const FolderFiles& files, const fs::path& folder, TensorWriter& writer) {
  for (size_t i = 0; i < files.size(); ++i) {
    const ConvertedPart& part = model.parts[i];
    const fs::path part_folder = folder / folder_of(model, part);
    fs::create_directories(part_folder);
    write_text(part_folder / "config.json", config_json(part.config));
    const bool has_metadata = part.component == kUnet || !model.config;
    writer.write_safetensors(
        folder / files[i].first, files[i].second,
        has_metadata ? output_metadata(model, false) : std::map<std::string, std::string>{{"format", "pt"}});
  }
  if (model.config) write_rest_of_model(model, folder);
}

}  // namespace tempera
