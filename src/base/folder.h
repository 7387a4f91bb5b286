// The content of a folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tempera {

// The names of all files and folders in it, sorted. Those that were read before an error; none if it cannot be read.
std::vector<std::string> names_in(const std::filesystem::path& folder);

}  // namespace tempera
