#include "save_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

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
fs::path save_one(const Image& image, size_t index, const OutputPattern& pattern, const PictureOptions& options,
                  bool replace, const std::vector<fs::path>& used) {
  const auto taken = [&](const fs::path& path) {
    return std::find(used.begin(), used.end(), path) != used.end() || (!replace && is_there(path));
  };
  while (true) {
    fs::path path = pattern.name(image.seed, index, used.size(), taken);
    try {
      save_picture(path, image, options, replace);
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

// As PNG, which can hold every picture and every text.
std::optional<fs::path> save_elsewhere(const Image& image, bool ai_mark) {
  for (const fs::path& folder : other_folders()) {
    try {
      return save_one(image, 0, OutputPattern(folder / default_name({})), {.ai_mark = ai_mark}, false, {});
    } catch (const Error&) {
      continue;
    }
  }
  return std::nullopt;
}

// A PNG file of a drawn picture has more than one byte for each of its pixels. The size may be the model's, which is
// not known yet; then, and in the other formats, a file has at least a few sectors.
uintmax_t least_bytes(const Request& request, PictureFormat format) {
  const bool is_png = format == PictureFormat::png;
  const auto pixels = is_png ? static_cast<uintmax_t>(request.width) * static_cast<uintmax_t>(request.height) : 0;
  return std::max<uintmax_t>(pixels, 4096) * static_cast<uintmax_t>(request.num_images_per_prompt);
}

}  // namespace

PictureSaver::PictureSaver(PictureOutput output, const Request& request) : output_(std::move(output)) {
  stream_ = PictureStream::of(output_.output, request.num_images_per_prompt);
  if (!stream_) pattern_.emplace(output_.output.empty() ? default_name(output_) : output_.output);
  format_ = format_of(output_, stream_.has_value(), request);
  if (pattern_) pattern_->check(request.seed, request.num_images_per_prompt, least_bytes(request, format_));
}

void PictureSaver::save(const Image& image) {
  const size_t index = saved_++;
  try {
    if (stream_) {
      stream_->write(picture_bytes(image, format_, output_.options));
      files_.emplace_back(output_.output);
    } else {
      files_.push_back(save_one(image, index, *pattern_, output_.options, !output_.output.empty(), files_));
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) code_ = error.code();
    const std::optional<fs::path> file = save_elsewhere(image, output_.options.ai_mark);
    problem_ += problem_.empty() ? message_of(error) : "";
    problem_ += file ? fmt::format("; the picture of seed {} is in '{}'", image.seed, file->string())
                     : fmt::format("; the picture of seed {} is lost, no other folder can be written to", image.seed);
  }
}

void PictureSaver::check() const {
  if (!problem_.empty()) throw Error(code_, problem_);
}

}  // namespace tempera::cli
