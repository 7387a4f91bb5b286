#include "source/catalog/model_folders.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "base/user_folders.h"
#include "source/catalog/import_paths.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

struct TreeFolder {
  std::string_view name, kind;
};
// The folders below "models" in A1111 and Forge (modules/paths.py and their extensions) and in ComfyUI
// (folder_paths.py), in small letters.
constexpr std::array kTreeFolders = {
    TreeFolder{"stable-diffusion", "checkpoints"},
    TreeFolder{"checkpoints", "checkpoints"},
    TreeFolder{"diffusers", "diffusers"},
    TreeFolder{"diffusion_models", "diffusion_models"},
    TreeFolder{"unet", "diffusion_models"},
    TreeFolder{"vae", "vae"},
    TreeFolder{"vae_approx", "vae_approx"},
    TreeFolder{"vae-approx", "vae_approx"},
    TreeFolder{"vae-taesd", "vae_approx"},
    TreeFolder{"lora", "loras"},
    TreeFolder{"loras", "loras"},
    TreeFolder{"lycoris", "loras"},
    TreeFolder{"controlnet", "controlnet"},
    TreeFolder{"t2i_adapter", "t2i_adapter"},
    TreeFolder{"ipadapter", "ipadapter"},
    TreeFolder{"clip_vision", "clip_vision"},
    TreeFolder{"embeddings", "embeddings"},
    TreeFolder{"text_encoder", "text_encoders"},
    TreeFolder{"text_encoders", "text_encoders"},
    TreeFolder{"clip", "text_encoders"},
    TreeFolder{"upscale_models", "upscale_models"},
    TreeFolder{"esrgan", "upscale_models"},
    TreeFolder{"realesrgan", "upscale_models"},
    TreeFolder{"swinir", "upscale_models"},
};

std::string small_letters(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

// The folders of a tree directly in `models`, sorted by name.
std::vector<ModelFolder> tree_folders_in(const fs::path& models) {
  std::vector<ModelFolder> folders;
  std::error_code error;
  for (fs::directory_iterator entry(models, error), end; !error && entry != end; entry.increment(error)) {
    const std::string_view kind = tree_folder_kind(entry->path().filename().string());
    std::error_code ignored;
    if (!kind.empty() && entry->is_directory(ignored)) folders.push_back({entry->path(), std::string(kind)});
  }
  std::ranges::sort(folders, {}, &ModelFolder::path);
  return folders;
}

void append(ModelFolders& all, std::vector<ModelFolder> more) {
  for (ModelFolder& folder : more) all.folders.push_back(std::move(folder));
}

void append_config(ModelFolders& all, const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return;
  const nlohmann::json config = read_json_file(file, {.max_bytes = 1 << 20, .max_values = 10'000});
  const std::string what = file.string();
  if (!config.is_object()) fail(ErrorCode::bad_file, "'{}' is no JSON object", what);
  for (const auto& [key, value] : config.items()) {
    if (key != "models_dir" && key != "import_paths")
      fail(ErrorCode::bad_file, "'{}': '{}' is unknown: the members are models_dir and import_paths", what, key);
    const bool texts = value.is_array() && std::ranges::all_of(value, [](const auto& v) { return v.is_string(); });
    if (!texts) fail(ErrorCode::bad_file, "'{}': {} is no list of paths", what, key);
  }
  const auto each = [&](const char* key, auto&& use) {
    if (!config.contains(key)) return;
    for (const auto& value : config.at(key)) use(file.parent_path() / expand_home(value.get<std::string>()));
  };
  each("models_dir", [&](const fs::path& dir) { append(all, folders_of_tree(dir, Message{what, {}}).folders); });
  each("import_paths", [&](const fs::path& yaml) { append(all, read_import_paths(yaml)); });
}

}  // namespace

std::string_view tree_folder_kind(std::string_view name) {
  const auto at = std::ranges::find(kTreeFolders, small_letters(name), &TreeFolder::name);
  return at == kTreeFolders.end() ? std::string_view() : at->kind;
}

ModelFolders folders_of_tree(const fs::path& dir, const Message& origin) {
  std::error_code error;
  const fs::path root = fs::absolute(dir).lexically_normal();
  if (!fs::is_directory(root, error))
    fail(ErrorCode::bad_file, "'{}', a folder of models from {}, is no folder: correct it or leave it out",
         dir.string(), origin);
  // The folders of a diffusers model have the same names.
  if (fs::exists(root / "model_index.json", error)) return {{{root, ""}}};
  ModelFolders all;
  const fs::path models = root / "models";
  const std::vector<ModelFolder> below = tree_folders_in(models);
  if (below.empty()) {
    append(all, tree_folders_in(root));
    all.folders.push_back({root, ""});  // files next to these folders, or in no tree
  } else {
    append(all, below);
    if (fs::is_directory(root / "embeddings", error)) all.folders.push_back({root / "embeddings", "embeddings"});
    all.folders.push_back({models, ""});
  }
  const fs::path imports = root / "extra_model_paths.yaml";
  if (fs::exists(imports, error)) append(all, read_import_paths(imports));
  return all;
}

ModelFolders model_folders(const EngineOptions& options) {
  ModelFolders all;
  const Message option = make_message("{}", FieldName{"models_dir"});
  for (const std::string& dir : options.models_dir) append(all, folders_of_tree(dir, option).folders);
  for (const std::string& file : options.import_paths) append(all, read_import_paths(file));
  std::istringstream list(environment("TEMPERA_MODELS"));
  for (std::string dir; std::getline(list, dir, ':');)
    if (!dir.empty()) append(all, folders_of_tree(expand_home(dir), Message{"TEMPERA_MODELS", {}}).folders);
  if (const fs::path config = config_folder(); !config.empty()) append_config(all, config / "tempera/config.json");
  std::error_code ignored;
  if (const fs::path data = data_folder() / "tempera/models"; data.is_absolute() && fs::is_directory(data, ignored))
    append(all, folders_of_tree(data, Message{"the data folder", {}}).folders);
  return all;
}

}  // namespace tempera
