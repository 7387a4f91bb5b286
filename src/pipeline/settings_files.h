// The files that the settings of a picture name.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

#include "tempera/settings.h"

namespace tempera {

// Finds the files of fields that `from_picture` accepts, and changes their text where a name is not the file's path or
// name here. Checks hashes. Throws as use_settings.
void find_settings_files(const PictureSettings& settings, const std::filesystem::path& picture,
                         const std::function<bool(std::string_view field)>& from_picture, Request& request,
                         EngineOptions& engine);

}  // namespace tempera
