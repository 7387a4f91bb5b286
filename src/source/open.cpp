#include "source/open.h"

#include "base/error.h"
#include "source/default_model.h"
#include "source/locate.h"

namespace tempera {

OpenOptions open_options(const EngineOptions& options, const LogSink& log) {
  OpenOptions open;
  open.model_config = options.model_config;
  open.tokenizer = options.tokenizer;
  open.variant = options.variant;
  open.unet = options.unet;
  open.unet_config = options.unet_config;
  open.vae = options.vae;
  open.log = log;
  return open;
}

ModelSource open_model_of(const EngineOptions& options, const LogSink& log, bool text_encoders) {
  if (!options.preset.empty())
    fail(ErrorCode::invalid_argument, "a {} has no weights to generate with: give a {}, or write one by tempera synth",
         FieldName{"preset"}, FieldName{"model"});
  OpenOptions open = open_options(options, log);
  open.text_encoders = text_encoders;
  return open_model(options.model.empty() ? default_model() : locate(options, FileKind::checkpoint, options.model),
                    open);
}

}  // namespace tempera
