// The names of the opened files of weights in the settings text of pictures. They name the same files again on this
// machine, and contain no path of it.
#pragma once

#include <filesystem>
#include <string>

#include "tempera/request.h"

namespace tempera {

struct RecordedNames {
  // Empty: the options do not name one, or the tiny autoencoder is the model's own.
  std::string model, unet, vae, tiny_vae;
};

struct OpenOptions;

// Each name is the first of these by which locate() finds the file: model_label(); the path relative to its model
// folder. If it finds the file by neither, because the file is in no model folder or an earlier folder has the same
// relative path, the name is model_label(), and only the hash shows which file it is. `opened` has the paths of the
// UNet and the autoencoder. Folders that cannot be read are ignored: the model may be given by its path.
RecordedNames recorded_names(const EngineOptions& options, const OpenOptions& opened,
                             const std::filesystem::path& model);

}  // namespace tempera
