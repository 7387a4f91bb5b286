#include "picture_output.h"

#include <fmt/format.h>

#include <CLI/App.hpp>

#include "number_of.h"
#include "tempera/error.h"

namespace tempera::cli {
namespace {

PictureFormat named_format(const std::string& name) {
  if (name == "png") return PictureFormat::png;
  if (name == "jpeg" || name == "jpg") return PictureFormat::jpeg;
  if (name == "webp") return PictureFormat::webp;
  throw Error(ErrorCode::invalid_argument, fmt::format("--format is '{}': give png, jpeg or webp", name));
}

const char* extension_of(PictureFormat format) {
  switch (format) {
    case PictureFormat::jpeg:
      return ".jpg";
    case PictureFormat::webp:
      return ".webp";
    case PictureFormat::png:
      break;
  }
  return ".png";
}

}  // namespace

void add_picture_output(CLI::App& app, PictureOutput& output) {
  app.add_option(
         "-o,--output", output.output,
         "file to write, a name or a pattern with {seed} and {index} (default tempera-{seed}.png); the extension "
         "decides the format: .png, .jpg, .jpeg or .webp; .safetensors for latents; - for standard output")
      ->type_name("NAME")
      ->group("Output")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option_function<std::string>(
         "--format", [&output](const std::string& text) { output.format = named_format(text); },
         "format of a picture that has no extension, because it is written to standard output, a pipe or a device, or "
         "because there is no --output (default png)")
      ->type_name("png|jpeg|webp")
      ->group("Output")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option_function<std::string>(
         "--quality",
         [&output](const std::string& text) { output.options.quality = number_of("--quality", text, 1, 100); },
         "quality of JPEG and WebP, 1 (small) to 100 (best) (default: 95 for JPEG, lossless for WebP)")
      ->type_name("N")
      ->group("Output")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag_callback(
         "--no-ai-mark", [&output] { output.options.ai_mark = false; },
         "write no XMP data that marks the picture as made by a model (IPTC DigitalSourceType)")
      ->group("Output");
}

std::string default_name(const PictureOutput& output) {
  return std::string("tempera-{seed}") + extension_of(output.format.value_or(PictureFormat::png));
}

PictureFormat format_of(const PictureOutput& output, bool stream, const Request& request) {
  PictureFormat format = output.format.value_or(PictureFormat::png);
  if (!stream && !output.output.empty()) {
    try {
      format = picture_format(output.output);
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("--output {}", error.what()));
    }
    if (output.format && output.format != format)
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("--output '{}' has the extension of another format than --format: leave --format out, or "
                              "give a name that ends in {}",
                              output.output, extension_of(*output.format)));
  }
  check_picture_options(format, output.options, request.width, request.height);
  return format;
}

}  // namespace tempera::cli
