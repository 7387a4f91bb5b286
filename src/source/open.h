// The model that engine options name, or the one that comes with tempera.
#pragma once

#include "source/model_source.h"
#include "tempera/request.h"

namespace tempera {

// Throws as default_model, locate and open_model do, and Error(invalid_argument) for a preset, which has no weights.
ModelSource open_model_of(const EngineOptions& options, const LogSink& log, bool text_encoders = true);
OpenOptions open_options(const EngineOptions& options, const LogSink& log);

}  // namespace tempera
