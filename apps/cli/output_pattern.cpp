#include "output_pattern.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

#include "tempera/error.h"

namespace tempera::cli {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

// "a.png" and 2: "a-2.png".
fs::path numbered(const fs::path& path, size_t number) {
  fs::path result = path;
  result.replace_filename(fmt::format("{}-{}{}", path.stem().string(), number, path.extension().string()));
  return result;
}

bool ends_in_png(const std::string& name) {
  std::string extension = fs::path(name).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".png";
}

}  // namespace

OutputPattern::OutputPattern(std::string pattern) : pattern_(std::move(pattern)) {
  for (size_t at = pattern_.find('{'); at != std::string::npos; at = pattern_.find('{', at + 1)) {
    const std::string_view rest = std::string_view(pattern_).substr(at);
    if (rest.starts_with("{seed}") || rest.starts_with("{index}")) continue;
    const std::string_view name = rest.substr(0, rest.find('}') == rest.npos ? rest.npos : rest.find('}') + 1);
    refuse(fmt::format("--output '{}' has the unknown placeholder '{}': use {{seed}} or {{index}}", pattern_, name));
  }
  if (fs::path(pattern_).parent_path().string().find('{') != std::string::npos) {
    refuse(fmt::format(
        "--output '{}' has a placeholder in its folder: use {{seed}} and {{index}} in the file name only", pattern_));
  }
  if (!ends_in_png(pattern_)) {
    refuse(fmt::format("--output '{}' does not end in .png: pictures are written as PNG only", pattern_));
  }
}

std::string OutputPattern::expand(uint64_t seed, size_t index) const {
  std::string name = pattern_;
  const auto replace = [&name](std::string_view placeholder, const std::string& value) {
    for (size_t at = name.find(placeholder); at != std::string::npos; at = name.find(placeholder, at + value.size())) {
      name.replace(at, placeholder.size(), value);
    }
  };
  replace("{seed}", std::to_string(seed));
  replace("{index}", std::to_string(index));
  return name;
}

std::vector<fs::path> OutputPattern::names(const std::vector<uint64_t>& seeds,
                                           const std::function<bool(const fs::path&)>& taken) const {
  std::vector<fs::path> result;
  std::set<fs::path> used;
  const auto free = [&](const fs::path& path) { return !used.contains(path) && !(taken && taken(path)); };
  for (size_t index = 0; index < seeds.size(); ++index) {
    const fs::path wanted = expand(seeds[index], index);
    fs::path path = wanted;
    for (size_t number = std::max<size_t>(result.size(), 1); !free(path); ++number) path = numbered(wanted, number);
    used.insert(path);
    result.push_back(std::move(path));
  }
  return result;
}

void check_output_folder(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    refuse(fmt::format("the folder '{}' of --output does not exist: create it first", folder.string()));
  }
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    refuse(fmt::format("the folder '{}' of --output cannot be written to: choose another or change its permissions",
                       folder.string()));
  }
  if (fs::is_directory(path, ignored)) {
    refuse(fmt::format("--output '{}' is a folder: give the name of a file in it", path.string()));
  }
}

}  // namespace tempera::cli
