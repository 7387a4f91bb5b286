#include "source/adapter_name.h"

#include <filesystem>

#include "base/user_folders.h"

namespace tempera {
namespace {

bool exists(std::string_view path) {
  std::error_code ignored;
  return !path.empty() && std::filesystem::exists(expand_home(path), ignored);
}

}  // namespace

AdapterName split_adapter_name(std::string_view text, size_t most_parts) {
  AdapterName name{std::string(text), {}};
  for (std::string file = name.file; name.parts.size() < most_parts && !exists(name.file);) {
    const size_t colon = name.file.rfind(':');
    if (colon == std::string::npos) break;
    name.parts.insert(name.parts.begin(), name.file.substr(colon + 1));
    name.file.resize(colon);
  }
  return name;
}

}  // namespace tempera
