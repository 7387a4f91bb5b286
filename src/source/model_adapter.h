// Adapters of a model: the parameters that adapter files can name, and opening a file for a model.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "adapters/adapter_file.h"
#include "models/config.h"

namespace tempera {

// The parameters of the UNet and of the text encoders, with their names in single files. They follow from the
// configuration: no file has to be open. Names of tensors that single files store in another form (packed, transposed)
// are left out.
std::vector<ModelParameter> adapter_parameters(const ModelConfig& model);

// Opens an adapter for the model with these parameters. Throws as open_adapter does, and Error(bad_file) that names the
// likely base model of the file if it neither changes a parameter nor has an embedding.
AdapterFile open_model_adapter(const std::filesystem::path& path, const AdapterNames& names);

}  // namespace tempera
