#include "source/catalog/list.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "source/catalog/contents.h"
#include "source/catalog/hash_store.h"
#include "source/catalog/hub_cache.h"
#include "source/catalog/trigger_words.h"
#include "source/locate.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

std::string_view name_of(FileKind kind) {
  switch (kind) {
    case FileKind::checkpoint:
      return "checkpoint";
    case FileKind::unet:
      return "unet";
    case FileKind::vae:
      return "vae";
    case FileKind::tiny_vae:
      return "tiny_vae";
    case FileKind::text_encoder:
      return "text_encoder";
    case FileKind::lora:
      return "lora";
    case FileKind::embedding:
      return "embedding";
    case FileKind::controlnet:
      return "controlnet";
    case FileKind::t2i_adapter:
      return "t2i_adapter";
    case FileKind::ip_adapter:
      return "ip_adapter";
    case FileKind::image_encoder:
      return "image_encoder";
    case FileKind::upscaler:
      return "upscaler";
    case FileKind::unknown:
      break;
  }
  return "unknown";
}

// Whether a folder of a tree is for files of this kind. A1111 and Forge have UNets and VAEs next to checkpoints,
// ControlNet's folder has adapters too.
bool belongs(FileKind kind, std::string_view holds) {
  struct Row {
    FileKind kind;
    std::array<std::string_view, 3> folders;
  };
  static constexpr std::array kRows = {
      Row{FileKind::checkpoint, {"checkpoints", "diffusers", "diffusion_models"}},
      Row{FileKind::unet, {"diffusion_models", "checkpoints", ""}},
      Row{FileKind::vae, {"vae", "checkpoints", ""}},
      Row{FileKind::tiny_vae, {"vae_approx", "vae", ""}},
      Row{FileKind::text_encoder, {"text_encoders", "", ""}},
      Row{FileKind::lora, {"loras", "ipadapter", ""}},
      Row{FileKind::embedding, {"embeddings", "", ""}},
      Row{FileKind::controlnet, {"controlnet", "", ""}},
      Row{FileKind::t2i_adapter, {"t2i_adapter", "controlnet", ""}},
      Row{FileKind::ip_adapter, {"ipadapter", "controlnet", ""}},
      Row{FileKind::image_encoder, {"clip_vision", "ipadapter", "controlnet"}},
      Row{FileKind::upscaler, {"upscale_models", "", ""}},
  };
  const auto row = std::ranges::find(kRows, kind, &Row::kind);
  return holds.empty() || row == kRows.end() || std::ranges::find(row->folders, holds) != row->folders.end();
}

// One entry for every revision of every repository with a model.
void append_hub(std::vector<ModelEntry>& entries) {
  const fs::path cache = hub_cache();
  for (const HubName& name : hub_names(cache)) {
    ModelEntry entry;
    try {
      entry = entry_of(found_at(find_in_hub(name, cache)));
      if (entry.kind == "unknown") continue;  // models of text and others
    } catch (const Error& error) {
      if (!is_diffusers_repository(name, cache)) continue;
      entry.kind = "unknown";
      entry.notes.emplace_back(error.what());
    }
    entry.name = name.repository + (name.revision == "main" ? "" : "@" + name.revision);
    entries.push_back(std::move(entry));
  }
}

}  // namespace

ModelEntry entry_of(const FoundModel& model) {
  ModelContents contents = read_contents(model);
  ModelEntry entry;
  entry.name = model.name;
  entry.path = model.path.string();
  entry.kind = name_of(contents.type.kind);
  entry.base = contents.type.base.empty() ? "" : base_label(contents.type.base);
  entry.prediction = contents.type.prediction;
  entry.dtypes = std::move(contents.dtypes);
  entry.bytes = contents.bytes;
  entry.sha256 = known_hash(model.path).value_or("");
  TriggerWords words = trigger_words(model.path, contents.metadata);
  entry.trigger_words = std::move(words.words);
  if (!contents.problem.empty()) entry.notes.push_back(std::move(contents.problem));
  if (!belongs(contents.type.kind, model.holds))
    entry.notes.push_back(fmt::format("it is in a folder for {}", model.holds));
  std::ranges::move(words.problems, std::back_inserter(entry.notes));
  entry.metadata = std::move(contents.metadata);
  return entry;
}

FoundModel found_at(const fs::path& path) {
  std::error_code ignored;
  FoundModel model{path, model_label(path), "", FoundModel::Form::safetensors};
  if (fs::is_directory(path, ignored)) {
    const bool is_model = fs::exists(path / "model_index.json", ignored);
    model.form = is_model ? FoundModel::Form::diffusers_model : FoundModel::Form::diffusers_folder;
  } else if (!fs::exists(path, ignored)) {
    fail(ErrorCode::bad_file, "there is no model '{}': give a file, a folder or a name", path.string());
  } else {
    model.form = form_of_file(path).value_or(FoundModel::Form::safetensors);
  }
  return model;
}

std::vector<ModelEntry> list_models(const EngineOptions& engine) {
  std::vector<ModelEntry> entries;
  std::map<std::pair<std::string, std::string>, std::string> first;  // paths by kind and name
  for (const FoundModel& model : find_models(model_folders(engine))) {
    ModelEntry entry = entry_of(model);
    const auto [at, is_first] = first.emplace(std::pair(entry.kind, entry.name), entry.path);
    if (!is_first) entry.notes.push_back(fmt::format("its name is that of '{}': give the path", at->second));
    entries.push_back(std::move(entry));
  }
  append_hub(entries);
  return entries;
}

ModelEntry describe_model(const EngineOptions& engine, std::string_view name) {
  return entry_of(found_at(locate(engine, FileKind::checkpoint, name)));
}

std::optional<std::string> known_model_hash(const fs::path& file) {
  return known_hash(file);
}

std::string model_hash(const fs::path& file, const ModelCallbacks& callbacks) {
  return hash_of(file, {callbacks.progress, callbacks.cancelled});
}

}  // namespace tempera
