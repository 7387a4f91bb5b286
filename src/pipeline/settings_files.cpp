#include "pipeline/settings_files.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "source/adapter_name.h"
#include "source/catalog/hash_store.h"
#include "source/catalog/sha256.h"
#include "source/default_model.h"
#include "source/locate.h"
#include "source/tiny_vae.h"
#include "tempera/models.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

// A1111's hashes of adapters have 12 digits and leave the header out (sshs_model_hash). All others are of whole files.
constexpr size_t kTensorHashDigits = 12;

class FileFinder {
 public:
  FileFinder(const PictureSettings& settings, const fs::path& picture, const EngineOptions& engine)
      : settings_(settings), picture_(picture), engine_(engine) {}

  // A model, by its name, else by its hash.
  void find_model(std::string_view field, FileKind kind, std::string& name) const {
    if (name.empty()) return;
    const RecordedHash* hash = hash_of_name(field, name);
    fs::path path;
    try {
      path = locate(engine_, kind, name);
    } catch (const Error&) {
      if (hash != nullptr && locate_hash(kind, *hash, name)) return;
      if (field == "model" && name == model_label(default_model())) return name.clear();
      throw;
    }
    if (hash != nullptr) check_known_hash(*hash, path);
  }

  // An adapter or an embedding "NAME:PART".
  void find_adapter(std::string_view field, FileKind kind, size_t most_parts, std::string& text) const {
    AdapterName name = split_adapter_name(text, most_parts);
    const RecordedHash* hash = hash_of_name(field, name.file);
    // tempera records the hash of an embedding by its word.
    if (hash == nullptr && !name.parts.empty()) hash = hash_of_name(field, name.parts.front());
    fs::path path;
    try {
      path = locate(engine_, kind, name.file);
    } catch (const Error&) {
      if (hash == nullptr || !locate_hash(kind, *hash, name.file)) throw;
      text = name.file;
      for (const std::string& part : name.parts) text += ":" + part;
      return;
    }
    if (hash == nullptr) return;
    if (kind == FileKind::lora && hash->hash.size() == kTensorHashDigits)
      check_tensor_hash(*hash, path);
    else
      check_known_hash(*hash, path);
  }

  // A picture or another file that the request reads. Only the name without folders counts, because the settings may be
  // from anywhere.
  void find_input(std::string_view field, std::string& name) const {
    if (name.empty()) return;
    const fs::path file = fs::path(name).filename();
    const fs::path folder = picture_.has_parent_path() ? picture_.parent_path() : fs::path(".");
    for (const fs::path& path : {folder / file, file}) {
      std::error_code ignored;
      if (!fs::is_regular_file(path, ignored)) continue;
      name = path.string();
      return check_content(field, file.string(), path);
    }
    fail(ErrorCode::bad_file,
         "'{}' was drawn with the {} '{}', which is neither in the folder '{}' nor in the current one: copy it there, "
         "or "
         "give {}",
         picture_.string(), FieldName{field}, file.string(), folder.string(), FieldName{field});
  }

 private:
  const RecordedHash* hash_of_name(std::string_view field, std::string_view name) const {
    const auto same = [&](const RecordedHash& hash) { return hash.field == field && hash.name == name; };
    const auto found = std::ranges::find_if(settings_.hashes, same);
    return found == settings_.hashes.end() ? nullptr : &*found;
  }

  bool locate_hash(FileKind kind, const RecordedHash& hash, std::string& name) const {
    try {
      name = locate(engine_, kind, hash.hash).string();
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  [[noreturn]] void differs(const RecordedHash& hash, const fs::path& path, std::string_view other) const {
    fail(
        ErrorCode::bad_file,
        "'{}' was drawn with '{}' of the hash {}, but '{}' has the hash {}: give the same file, or another one with {}",
        picture_.string(), hash.name, hash.hash, path.string(), other.substr(0, hash.hash.size()),
        FieldName{hash.field});
  }

  void check_known_hash(const RecordedHash& hash, const fs::path& path) const {
    const std::optional<std::string> known = known_hash(path);
    if (known && !known->starts_with(hash.hash)) differs(hash, path, *known);
  }

  void check_tensor_hash(const RecordedHash& hash, const fs::path& path) const {
    const ModelEntry entry = describe_model(engine_, path.string());
    const auto found = entry.metadata.find("sshs_model_hash");
    if (found != entry.metadata.end() && !found->second.starts_with(hash.hash)) differs(hash, path, found->second);
  }

  void check_content(std::string_view field, std::string_view name, const fs::path& path) const {
    const RecordedHash* hash = hash_of_name(field, name);
    if (hash == nullptr) return;
    if (const std::string now = sha256_of_file(path); !now.starts_with(hash->hash)) differs(*hash, path, now);
  }

  const PictureSettings& settings_;
  const fs::path& picture_;
  const EngineOptions& engine_;
};

// The settings may be from anywhere, so a path to another place than a model folder counts by its last part.
std::string without_place(const std::string& name) {
  const fs::path path(name);
  const bool elsewhere =
      path.is_absolute() || name.starts_with('~') || std::ranges::find(path, fs::path("..")) != path.end();
  return elsewhere ? path.filename().string() : name;
}

}  // namespace

void find_settings_files(const PictureSettings& settings, const fs::path& picture,
                         const std::function<bool(std::string_view field)>& from_picture, Request& request,
                         EngineOptions& engine) {
  const EngineOptions folders{.models_dir = engine.models_dir, .import_paths = engine.import_paths};
  const FileFinder finder(settings, picture, folders);
  struct Model {
    std::string_view field;
    FileKind kind;
    std::string& name;
  };
  for (const Model& model : {Model{"model", FileKind::checkpoint, engine.model},
                             {"unet", FileKind::unet, engine.unet},
                             {"vae", FileKind::vae, engine.vae},
                             {"tiny_vae", FileKind::tiny_vae, engine.tiny_vae},
                             {"refiner", FileKind::checkpoint, engine.refiner}}) {
    if (!from_picture(model.field) || model.name == kModelsOwnTinyVae) continue;
    model.name = without_place(model.name);
    finder.find_model(model.field, model.kind, model.name);
  }
  for (const auto& [field, name] : {std::pair("model_config", &engine.model_config),
                                    {"tokenizer", &engine.tokenizer},
                                    {"unet_config", &engine.unet_config}})
    if (from_picture(field)) *name = without_place(*name);
  if (from_picture("scheduler_config") && !request.scheduler_config.starts_with('{'))
    request.scheduler_config = without_place(request.scheduler_config);
  if (from_picture("lora"))
    for (std::string& lora : request.lora) finder.find_adapter("lora", FileKind::lora, 2, lora = without_place(lora));
  if (from_picture("textual_inversion"))
    for (std::string& word : request.textual_inversion)
      finder.find_adapter("textual_inversion", FileKind::embedding, 1, word = without_place(word));
  if (from_picture("init_image"))
    for (std::string& name : request.init_image) finder.find_input("init_image", name);
  if (from_picture("mask_image"))
    for (std::string& name : request.mask_image) finder.find_input("mask_image", name);
  if (from_picture("latents")) finder.find_input("latents", request.latents);
  if (from_picture("prompt_embeds")) finder.find_input("prompt_embeds", request.prompt_embeds);
}

}  // namespace tempera
