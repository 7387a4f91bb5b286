#include "source/default_model.h"

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

// Where the model may be, the likeliest first.
std::vector<fs::path> model_folders() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  std::vector<fs::path> folders = {program.parent_path().parent_path() / "share/tempera/models",
                                   TEMPERA_MODELS_INSTALLED};
  // For programs elsewhere, where the prefix of the installation is not the one that the build was configured with.
  if (const char* data_dirs = std::getenv("XDG_DATA_DIRS")) {
    std::istringstream list(data_dirs);
    for (std::string folder; std::getline(list, folder, ':');) folders.push_back(fs::path(folder) / "tempera/models");
  }
  folders.emplace_back(TEMPERA_MODELS_IN_SOURCE);
  return folders;
}

}  // namespace

fs::path default_model() {
  std::error_code error;
  for (const fs::path& folder : model_folders()) {
    fs::path model = folder / "emoji-xl";
    if (folder.is_absolute() && fs::exists(model / "model_index.json", error)) return model;
  }
  fail(ErrorCode::unavailable,
       "the model that comes with tempera is not where it was installed: name a diffusers folder or a .safetensors "
       "file with {}",
       FieldName{"model"});
}

}  // namespace tempera
