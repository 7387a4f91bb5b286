#include "source/default_model.h"

#include <array>

#include "base/error.h"

namespace tempera {
namespace fs = std::filesystem;

fs::path default_model() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const std::array<fs::path, 3> folders = {program.parent_path().parent_path() / "share/tempera/models",
                                           TEMPERA_MODELS_INSTALLED, TEMPERA_MODELS_IN_SOURCE};
  for (const fs::path& folder : folders) {
    const fs::path model = folder / "emoji-xl";
    if (fs::exists(model / "model_index.json", error)) return model;
  }
  fail(ErrorCode::unavailable,
       "the model that comes with tempera is not where it was installed: name a diffusers folder or a .safetensors "
       "file with {}",
       FieldName{"model"});
}

}  // namespace tempera
