// The model of a single-file (LDM, SGM) checkpoint. Such files have no configuration. For SDXL and models distilled
// from it, the names and shapes of the tensors are enough.
#pragma once

#include <string>
#include <string_view>

#include "models/config.h"
#include "weights/naming.h"

namespace tempera {

struct LdmModel {
  ModelConfig config;
  LdmLayout layout;
};

// What the tensors of `file` show. Widths, depths and block counts come from shapes; attention heads are taken to be 64
// wide, the text encoders to be OpenAI's CLIP (quick_gelu) and OpenCLIP (gelu). Throws Error(bad_file, "'<what>' ..."):
// not an SDXL checkpoint (naming what it looks like), or a width that is no multiple of 64 (naming model_config).
// `vae`: the autoencoder that replaces the one of the file, which is not read then; nullptr: none. A file without
// autoencoder has the configuration of SDXL's.
LdmModel read_ldm_model(const Checkpoint& file, std::string_view what, const VaeConfig* vae = nullptr);

// The numbering for a model of this configuration in a single file.
LdmLayout ldm_layout(const ModelConfig& config);

// Sets the members of the layout that the configuration of a model does not decide.
void read_spelling(const Checkpoint& file, LdmLayout& layout);

// Throws Error(bad_file) when `file` is not an SDXL checkpoint. Otherwise returns whether it is a refiner.
bool is_ldm_refiner(const Checkpoint& file, std::string_view what);

}  // namespace tempera
