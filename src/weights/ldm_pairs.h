// The modules of single files, by component; for the rows of naming.cpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "weights/naming.h"

namespace tempera {

// Each: empty if the layout does not have the component.
LdmModules ldm_text_encoder(const LdmLayout& layout);
LdmModules ldm_text_encoder_2(const LdmLayout& layout);
LdmModules ldm_unet(const LdmLayout& layout);
LdmModules ldm_vae(const LdmLayout& layout);

// The prefix of the second text encoder: "conditioner.embedders.1.model.".
std::string ldm_open_clip(const LdmLayout& layout);

// A name of a single file in the spelling of the modules. Some files use other prefixes. Nothing if it is the name
// itself.
std::optional<std::string> ldm_usual_spelling(std::string_view name);

}  // namespace tempera
