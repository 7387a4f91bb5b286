// Writing finished pictures. A finished picture is never lost: if its name was taken meanwhile, it gets the next one;
// if it cannot be written to its folder, it is written to another one.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "output_pattern.h"
#include "tempera/tempera.h"

namespace tempera::cli {

// Returns the files, in the order of the images. `replace`: existing files are replaced; otherwise a free number is
// added to the name. Throws Error(io) after all images if one of them could not be written under its name; the message
// names the file in which it is.
std::vector<std::filesystem::path> save_pictures(std::span<const Image> images, const OutputPattern& pattern,
                                                 bool replace);

}  // namespace tempera::cli
