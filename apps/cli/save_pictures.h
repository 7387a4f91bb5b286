// Writing finished pictures, each as soon as it is finished. A finished picture is never lost: if its name was taken
// meanwhile, it gets the next one; if it cannot be written to its folder, it is written to another one.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "output_pattern.h"
#include "picture_output.h"
#include "picture_stream.h"
#include "tempera/tempera.h"

namespace tempera::cli {

class PictureSaver {
 public:
  // Files that `output` names are replaced. Without a name: default_name(), and a free number is added to names that
  // exist. Throws Error(invalid_argument) before the work if the pictures of this request cannot be written
  // (OutputPattern, PictureStream, format_of).
  PictureSaver(PictureOutput output, const Request& request);

  // Called with the pictures of the request in their order. An error is kept for check().
  void save(const Image& image);

  // Throws Error(io) if a picture could not be written under its name; the message names the file in which it is.
  // Error(cancelled) if it was stopped while it waited for the reader of a pipe.
  void check() const;
  const std::string& problem() const { return problem_; }  // the message of check(); empty: none

  // The pictures that were written under their names, in their order; "-" for standard output.
  const std::vector<std::filesystem::path>& files() const { return files_; }
  bool to_standard_output() const { return stream_ && stream_->is_standard_output(); }

 private:
  PictureOutput output_;
  PictureFormat format_ = PictureFormat::png;
  std::optional<PictureStream> stream_;
  std::optional<OutputPattern> pattern_;  // without a stream
  size_t saved_ = 0;                      // calls of save()
  std::vector<std::filesystem::path> files_;
  std::string problem_;
  ErrorCode code_ = ErrorCode::io;
};

}  // namespace tempera::cli
