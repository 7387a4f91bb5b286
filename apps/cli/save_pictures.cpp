#include "save_pictures.h"

#include <fmt/format.h>

#include <cstdlib>
#include <optional>
#include <set>
#include <string>

#include "fields.h"
#include "tempera/error.h"

namespace tempera::cli {
namespace fs = std::filesystem;
namespace {

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

// Other processes can take a name between the search for it and the rename of the finished file.
fs::path save_one(const Image& image, size_t index, const OutputPattern& pattern, bool replace,
                  const std::set<fs::path>& used) {
  const auto taken = [&](const fs::path& path) { return used.contains(path) || (!replace && is_there(path)); };
  while (true) {
    fs::path path = pattern.name(image.seed, index, used.size(), taken);
    try {
      save_png(path, image, replace);
      return path;
    } catch (const Error& error) {
      const bool taken_meanwhile = error.code() == ErrorCode::invalid_argument && !replace && is_there(path);
      if (!taken_meanwhile) throw;
    }
  }
}

// The folder for temporary files, the current folder, the user's own one.
std::vector<fs::path> other_folders() {
  std::vector<fs::path> folders;
  std::error_code error;
  if (fs::path folder = fs::temp_directory_path(error); !error) folders.push_back(std::move(folder));
  if (fs::path folder = fs::current_path(error); !error) folders.push_back(std::move(folder));
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') folders.emplace_back(home);
  return folders;
}

std::optional<fs::path> save_elsewhere(const Image& image) {
  for (const fs::path& folder : other_folders()) {
    try {
      return save_one(image, 0, OutputPattern(folder / kDefaultOutput), false, {});
    } catch (const Error&) {
      continue;
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<fs::path> save_pictures(std::span<const Image> images, const OutputPattern& pattern, bool replace) {
  std::vector<fs::path> files;
  std::set<fs::path> used;
  std::string problem;
  for (size_t i = 0; i < images.size(); ++i) {
    try {
      files.push_back(save_one(images[i], i, pattern, replace, used));
      used.insert(files.back());
    } catch (const Error& error) {
      const std::optional<fs::path> file = save_elsewhere(images[i]);
      problem += problem.empty() ? message_of(error) : "";
      problem +=
          file ? fmt::format("; the picture of seed {} is in '{}'", images[i].seed, file->string())
               : fmt::format("; the picture of seed {} is lost, no other folder can be written to", images[i].seed);
    }
  }
  if (!problem.empty()) throw Error(ErrorCode::io, problem);
  return files;
}

}  // namespace tempera::cli
