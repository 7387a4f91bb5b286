// A diffusers folder: a folder of weights and config.json for each component, the tokenizers, the scheduler, and
// model_index.json.
#pragma once

#include <filesystem>
#include <utility>
#include <vector>

#include "convert/layout.h"
#include "convert/tensor_writer.h"

namespace tempera {

// The files of weights and their tensors: one for each part, by paths in the folder.
using FolderFiles = std::vector<std::pair<std::filesystem::path, std::vector<OutputTensor>>>;

// Throws as diffusers_tensors.
FolderFiles folder_files(const ConvertedModel& model, const TensorTypes& types);

// Writes into `folder`, which exists. Throws Error(io).
void write_folder(const ConvertedModel& model, const FolderFiles& files, const std::filesystem::path& folder,
                  TensorWriter& writer);

}  // namespace tempera
