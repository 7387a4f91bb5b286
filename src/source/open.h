// The model that engine options name, or the one that comes with tempera.
#pragma once

#include <filesystem>

#include "source/model_source.h"
#include "tempera/request.h"

namespace tempera {

// Throws as default_model, locate and open_model do, and Error(invalid_argument) for a preset, which has no weights.
ModelSource open_model_of(const EngineOptions& options, const LogSink& log, bool text_encoders = true);
// Throws as locate does for the names of files.
OpenOptions open_options(const EngineOptions& options, const LogSink& log);

// The model of EngineOptions::refiner, without its text encoders and its autoencoder, which need not be there. Throws
// as locate and open_model do.
ModelSource open_refiner_of(const EngineOptions& options, const LogSink& log);

// The tiny autoencoder that the options name, for the model at this path. Throws as locate and open_tiny_vae do.
LoneComponent open_tiny_vae_of(const EngineOptions& options, const std::filesystem::path& model,
                               const VaeConfig& replaced);

}  // namespace tempera
