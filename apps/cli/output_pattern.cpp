#include "output_pattern.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <system_error>
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

std::string reason(int error) {
  return std::error_code(error, std::generic_category()).message();
}

// The file that a symbolic link names, also one that does not exist yet.
fs::path linked(const fs::path& path) {
  constexpr int kMostLinks = 40;
  fs::path result = path;
  std::error_code error;
  for (int i = 0; fs::is_symlink(result, error); ++i) {
    if (i == kMostLinks) refuse(fmt::format("--output '{}' is a loop of symbolic links: remove it", path.string()));
    result = result.parent_path() / fs::read_symlink(result, error);
  }
  return result;
}

void check_name(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0 || errno == ENOENT) return;
  if (errno == ENAMETOOLONG) {
    refuse(
        fmt::format("the name of --output is too long, it has {} bytes: give a shorter one, most file systems allow "
                    "255",
                    path.filename().string().size()));
  }
  refuse(fmt::format("--output '{}' cannot be written: {}", path.string(), reason(errno)));
}

// A file is created and removed. Permissions do not show a file system that is read-only or has no entries left.
void check_creation(const fs::path& folder) {
  std::string probe = folder / ".tempera-XXXXXX";
  const int descriptor = ::mkostemp(probe.data(), O_CLOEXEC);
  if (descriptor < 0) {
    refuse(fmt::format("the folder '{}' of --output cannot be written to: {}; choose another", folder.string(),
                       reason(errno)));
  }
  ::close(descriptor);
  ::unlink(probe.c_str());
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

fs::path OutputPattern::name(uint64_t seed, size_t index, size_t number,
                             const std::function<bool(const fs::path&)>& taken) const {
  const fs::path wanted = expand(seed, index);
  fs::path path = wanted;
  for (size_t n = std::max<size_t>(number, 1); taken(path); ++n) path = numbered(wanted, n);
  return path;
}

std::vector<fs::path> OutputPattern::names(const std::vector<uint64_t>& seeds,
                                           const std::function<bool(const fs::path&)>& taken) const {
  std::vector<fs::path> result;
  std::set<fs::path> used;
  const auto used_or_taken = [&](const fs::path& path) { return used.contains(path) || (taken && taken(path)); };
  for (size_t index = 0; index < seeds.size(); ++index) {
    result.push_back(name(seeds[index], index, index, used_or_taken));
    used.insert(result.back());
  }
  return result;
}

void OutputPattern::check(std::optional<uint64_t> seed, int images, uintmax_t bytes) const {
  const auto last = static_cast<size_t>(std::max(images, 1) - 1);
  const uint64_t drawn = UINT32_MAX;
  const fs::path longest = expand(seed.value_or(drawn) + last, last);
  check_output(longest, bytes);
  if (last > 0) check_output(numbered(longest, last), bytes);
}

void check_output(const fs::path& given, uintmax_t bytes) {
  std::error_code ignored;
  const fs::path path = linked(given);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
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
  if (fs::exists(path, ignored) && !fs::is_regular_file(path, ignored)) {
    refuse(fmt::format("--output '{}' is a pipe or a device: give the name of a file", path.string()));
  }
  check_name(path);
  check_creation(folder);
  const fs::space_info space = fs::space(folder, ignored);
  if (!ignored && space.capacity > 0 && space.available < bytes) {  // some network file systems count nothing
    refuse(
        fmt::format("the disk of --output '{}' has {} bytes free, the pictures need more than {}: free some space or "
                    "choose another folder",
                    path.string(), space.available, bytes));
  }
}

}  // namespace tempera::cli
