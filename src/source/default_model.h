// The small model that comes with tempera: what a request is answered with that names none.
#pragma once

#include <filesystem>

namespace tempera {

// Its folder: beside the installed program (../share/tempera/models from where the program lies), where it was to be
// installed, or the source tree it was built from, whichever is there first. Throws Error(unavailable) when none is.
std::filesystem::path default_model();

}  // namespace tempera
