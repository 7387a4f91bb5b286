// A picture's settings as text, in the form that image sites and user interfaces read ("parameters").
#pragma once

#include <string>

#include "pipeline/model_source.h"
#include "pipeline/resolve.h"

namespace tempera {

std::string parameters_text(const ResolvedRequest& request, const EngineOptions& engine, const ModelSource& source,
                            uint64_t seed);

}  // namespace tempera
