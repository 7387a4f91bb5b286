// The folders of the user, by the XDG base directory specification. A variable whose value is not an absolute path is
// ignored, as the specification requires.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace tempera {

// The value of an environment variable; empty if it is not set.
std::string environment(const char* variable);

// All of these are empty if neither their variable nor HOME is set.
std::filesystem::path home_folder();    // HOME
std::filesystem::path cache_folder();   // XDG_CACHE_HOME, else ~/.cache
std::filesystem::path config_folder();  // XDG_CONFIG_HOME, else ~/.config
std::filesystem::path data_folder();    // XDG_DATA_HOME, else ~/.local/share

// "~" and "~/x" with the home folder in the place of "~". Other texts are unchanged, also "~name".
std::filesystem::path expand_home(std::string_view path);

}  // namespace tempera
