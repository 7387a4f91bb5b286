#include "source/open.h"

#include "base/error.h"
#include "source/default_model.h"
#include "source/locate.h"
#include "source/tiny_vae.h"

namespace tempera {

OpenOptions open_options(const EngineOptions& options, const LogSink& log) {
  OpenOptions open;
  open.model_config = options.model_config;
  open.tokenizer = options.tokenizer;
  open.variant = options.variant;
  if (!options.unet.empty()) open.unet = locate(options, FileKind::unet, options.unet);
  open.unet_config = options.unet_config;
  if (!options.vae.empty()) open.vae = locate(options, FileKind::vae, options.vae);
  open.log = log;
  return open;
}

LoneComponent open_tiny_vae_of(const EngineOptions& options, const std::filesystem::path& model,
                               const VaeConfig& replaced) {
  const bool is_name = options.tiny_vae != kModelsOwnTinyVae;
  return open_tiny_vae(is_name ? locate(options, FileKind::tiny_vae, options.tiny_vae).string() : options.tiny_vae,
                       model, replaced);
}

ModelSource open_refiner_of(const EngineOptions& options, const LogSink& log) {
  OpenOptions open;
  open.log = log;
  open.text_encoders = false;
  return open_model(locate(options, FileKind::checkpoint, options.refiner), open);
}

ModelSource open_model_of(const EngineOptions& options, const LogSink& log, bool text_encoders) {
  if (!options.preset.empty())
    fail(ErrorCode::invalid_argument, "a {} has no weights to generate with: give a {}, or write one by tempera synth",
         FieldName{"preset"}, FieldName{"model"});
  OpenOptions open = open_options(options, log);
  open.text_encoders = text_encoders;
  ModelSource source =
      open_model(options.model.empty() ? default_model() : locate(options, FileKind::checkpoint, options.model), open);
  source.names = recorded_names(options, open, source.path);
  return source;
}

}  // namespace tempera
