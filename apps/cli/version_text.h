// tempera --version: the version, the commit, the backends, the libraries.
#pragma once

#include <string>

namespace tempera::cli {

std::string version_text();

}  // namespace tempera::cli
