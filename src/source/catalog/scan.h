// The models in folders: files with the extensions of weights, and folders of diffusers. Nothing is opened.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "source/catalog/model_folders.h"

namespace tempera {

struct FoundModel {
  enum class Form : uint8_t {
    safetensors,  // .safetensors, .sft
    gguf,
    pickle,            // ComfyUI's .ckpt .pt .pt2 .bin .pth .pkl: never opened
    diffusers_model,   // a folder with model_index.json
    diffusers_folder,  // a folder of one component: config.json and weights
  };
  std::filesystem::path path;
  std::string name;   // relative to its folder, with '/': "sdxl/base.safetensors"
  std::string holds;  // of the folder (ModelFolder)
  Form form = Form::safetensors;
};

// By the extension, in any case of letters; nothing for other files.
std::optional<FoundModel::Form> form_of_file(const std::filesystem::path& path);

// Sorted by name within each folder, in the order of the folders. A path in several folders is listed for the first of
// them. Hidden files and folders are left out. Symbolic links are followed. Folders that cannot be read are left out.
std::vector<FoundModel> find_models(const ModelFolders& folders);

}  // namespace tempera
