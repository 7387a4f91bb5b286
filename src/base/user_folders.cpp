#include "base/user_folders.h"

#include <cstdlib>

namespace tempera {
namespace fs = std::filesystem;

namespace {
fs::path absolute_or_empty(const char* variable) {
  fs::path path = environment(variable);
  return path.is_absolute() ? path : fs::path();
}

fs::path folder(const char* variable, const char* in_home) {
  if (fs::path path = absolute_or_empty(variable); !path.empty()) return path;
  const fs::path home = home_folder();
  return home.empty() ? home : home / in_home;
}
}  // namespace

std::string environment(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? std::string() : std::string(value);
}

fs::path home_folder() {
  return absolute_or_empty("HOME");
}

fs::path cache_folder() {
  return folder("XDG_CACHE_HOME", ".cache");
}

fs::path config_folder() {
  return folder("XDG_CONFIG_HOME", ".config");
}

fs::path data_folder() {
  return folder("XDG_DATA_HOME", ".local/share");
}

fs::path expand_home(std::string_view path) {
  fs::path home = home_folder();
  if (home.empty() || !path.starts_with('~')) return path;
  if (path.size() == 1) return home;
  return path[1] == '/' ? home / path.substr(2) : fs::path(path);
}

}  // namespace tempera
