#include "source/recorded_names.h"

#include <optional>

#include "base/error.h"
#include "models/components.h"
#include "source/locate.h"
#include "source/model_source.h"
#include "source/tiny_vae.h"
#include "source/unet_source.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

// Weights in diffusers folders all have the same name, and so have their folders: "other/unet".
std::string unet_label(const fs::path& unet) {
  fs::path path = fs::absolute(unet).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (path.filename().string().starts_with(component_kind(kUnet).weights_stem())) path = path.parent_path();
  const std::string label = model_label(path);
  return label == kUnet ? (path.parent_path().filename() / label).string() : label;
}

ModelFolders folders_of(const EngineOptions& options) {
  try {
    return model_folders(options);
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

RecordedNames recorded_names(const EngineOptions& options, const OpenOptions& opened, const fs::path& model) {
  const ModelFolders folders = folders_of(options);
  RecordedNames names;
  names.model = name_in(folders, FileKind::checkpoint, model, model_label(model));
  if (!options.unet.empty()) names.unet = name_in(folders, FileKind::unet, opened.unet, unet_label(opened.unet));
  if (!options.vae.empty()) names.vae = name_in(folders, FileKind::vae, opened.vae, model_label(opened.vae));
  if (!options.tiny_vae.empty() && options.tiny_vae != kModelsOwnTinyVae) {
    const fs::path tiny = locate(options, FileKind::tiny_vae, options.tiny_vae);
    names.tiny_vae = name_in(folders, FileKind::tiny_vae, tiny, model_label(tiny));
  }
  return names;
}

}  // namespace tempera
