// The small model that comes with tempera. It is used if a request names no model.
#pragma once

#include <filesystem>

namespace tempera {

// Its folder, the first that is there: beside the installed program (../share/tempera/models from where the program
// lies), where the build was configured to install it, tempera/models in a folder of XDG_DATA_DIRS, or the source tree
// that it was built from. Throws Error(unavailable) when none is.
std::filesystem::path default_model();

}  // namespace tempera
