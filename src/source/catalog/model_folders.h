// The folders in which models have names. A folder is a plain one, or a part of a tree of A1111, Forge or ComfyUI,
// where each kind of file has its own folder. Files are classified by their headers, so the kind of a folder is used
// for notes only.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tempera/error.h"
#include "tempera/request.h"

namespace tempera {

struct ModelFolder {
  std::filesystem::path path;  // absolute
  // The kind of files that the tree has there, by ComfyUI's name: "checkpoints", "diffusion_models", "vae". Empty: any.
  std::string holds;
};

// In order of precedence: if two folders have a file of the same relative name, the name is that of the first one's.
struct ModelFolders {
  std::vector<ModelFolder> folders;
};

// ComfyUI's name for a folder of a tree ("Stable-diffusion" -> "checkpoints", "unet" -> "diffusion_models"), in any
// case of letters. Empty for folders of other content.
std::string_view tree_folder_kind(std::string_view name);

// The folders of `dir`: the root of a tree or its models folder, with the folders of its extra_model_paths.yaml; or a
// plain folder. Throws Error(bad_file) if `dir` is not a folder, naming `origin`, and as read_import_paths does.
ModelFolders folders_of_tree(const std::filesystem::path& dir, const Message& origin);

// All folders that the options and the environment name:
//   1. EngineOptions::models_dir, then EngineOptions::import_paths
//   2. TEMPERA_MODELS, separated by colons
//   3. the config file: tempera/config.json in the user's config folder, an object with the optional members models_dir
//      and import_paths, each a list of paths (relative ones start at the folder of the file; "~/" is the home folder)
//   4. tempera/models in the user's data folder, if it is there
// Throws Error(bad_file) for a folder or a file that is named and not there, and for malformed files.
ModelFolders model_folders(const EngineOptions& options);

}  // namespace tempera
