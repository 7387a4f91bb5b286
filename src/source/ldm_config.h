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

// The parts that other files replace. Those of the file may be absent or malformed.
struct LdmReplaced {
  const VaeConfig* vae = nullptr;  // of the autoencoder that replaces the file's; nullptr: none
  bool unet = false;
};

// What the tensors of `file` show. Widths, depths and block counts come from shapes; attention heads are taken to be 64
// wide, the text encoders to be OpenAI's CLIP (quick_gelu) and OpenCLIP (gelu). Throws Error(bad_file, "'<what>' ..."):
// not an SDXL checkpoint (naming what it looks like), or a width that is no multiple of 64 (naming model_config).
// If the UNet is replaced, config.unet.down is empty if the file has none that can be used. A file without autoencoder
// has the configuration of SDXL's.
LdmModel read_ldm_model(const Checkpoint& file, std::string_view what, const LdmReplaced& replaced = {});

// The UNet whose tensors these are, under diffusers' names, as read_ldm_model reads it. addition_time_embed_dim is left
// as SDXL has it: it does not follow from the UNet's own shapes. Throws as read_ldm_model does, naming unet_config.
UnetConfig read_unet_shapes(const Checkpoint& tensors);

// The numbering of the UNet in a file under original names, with the prefix "model.diffusion_model.".
LdmLayout read_unet_layout(const Checkpoint& file);

// The numbering for a model of this configuration in a single file.
LdmLayout ldm_layout(const ModelConfig& config);

// Sets the members of the layout that the configuration of a model does not decide.
void read_spelling(const Checkpoint& file, LdmLayout& layout);

// Throws Error(bad_file) when `file` is not an SDXL checkpoint. Otherwise returns whether it is a refiner.
// unet_is_replaced: the file may be without a UNet.
bool is_ldm_refiner(const Checkpoint& file, std::string_view what, bool unet_is_replaced = false);

}  // namespace tempera
