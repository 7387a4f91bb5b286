// The options of a command for the files of pictures: name, format, quality.
#pragma once

#include <optional>
#include <string>

#include "tempera/tempera.h"

namespace CLI {
class App;
}

namespace tempera::cli {

struct PictureOutput {
  std::string output;                   // empty: the default name (default_name), and nothing is replaced
  std::optional<PictureFormat> format;  // of --format
  PictureOptions options;
};

// Adds --output, --format, --quality and --no-ai-mark. `output` must live until the command has run.
void add_picture_output(CLI::App& app, PictureOutput& output);

// "tempera-{seed}.png", or with the extension of the format in `output`.
std::string default_name(const PictureOutput& output);

// The format of pictures with the name `output.output`: that of its extension. Of a stream (a pipe, standard output):
// --format, else PNG. Throws Error(invalid_argument) for a --format that contradicts the extension, and as
// check_picture_options.
PictureFormat format_of(const PictureOutput& output, bool stream, const Request& request);

}  // namespace tempera::cli
