// The model that engine options name.
#pragma once

#include "pipeline/model_source.h"
#include "tempera/request.h"

namespace tempera {

// Throws Error(invalid_argument) when no model is named; see open_model for the rest.
ModelSource open_model_of(const EngineOptions& options, const LogSink& log);

}  // namespace tempera
