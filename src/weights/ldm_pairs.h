// The tensors' names in single files, by component; for the rows of naming.cpp.
#pragma once

#include <string>

#include "weights/naming.h"

namespace tempera {

// Each: empty where the layout is without the component.
LdmPairs ldm_text_encoder(const LdmLayout& layout);
LdmPairs ldm_text_encoder_2(const LdmLayout& layout);
LdmPairs ldm_unet(const LdmLayout& layout);
LdmPairs ldm_vae(const LdmLayout& layout);

// A name of a single file as the pairs spell it: some files use other prefixes.
std::string ldm_usual_spelling(const std::string& name);

}  // namespace tempera
