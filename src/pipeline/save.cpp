// Writing pictures in the formats of the public interface.
#include <algorithm>
#include <cctype>

#include "base/atomic_file.h"
#include "base/error.h"
#include "image/jpeg_writer.h"
#include "image/picture_metadata.h"
#include "image/png.h"
#include "image/webp_writer.h"
#include "tempera/tempera.h"

namespace tempera {
namespace {

constexpr int kJpegQuality = 95;  // above it, files grow fast and no difference is visible

PictureMetadata metadata_of(const Image& image, const PictureOptions& options) {
  return {image.parameters, options.ai_mark ? xmp_source_type(image.composite) : ""};
}

PictureText text_of(const PictureMetadata& metadata) {
  PictureText text{{std::string(kParametersKeyword), metadata.parameters}};
  if (!metadata.xmp.empty()) text.emplace_back(kXmpKeyword, metadata.xmp);
  return text;
}

}  // namespace

PictureFormat picture_format(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (extension == ".png") return PictureFormat::png;
  if (extension == ".jpg" || extension == ".jpeg") return PictureFormat::jpeg;
  if (extension == ".webp") return PictureFormat::webp;
  fail(ErrorCode::invalid_argument, "'{}' does not end in .png, .jpg, .jpeg or .webp: give a name that does",
       path.string());
}

void check_picture_options(PictureFormat format, const PictureOptions& options, int width, int height) {
  if (options.quality && format == PictureFormat::png)
    fail(ErrorCode::invalid_argument,
         "{} is for JPEG and WebP, and PNG is lossless: leave it out, or write a .jpg or .webp file",
         FieldName{"quality"});
  if (options.quality && (*options.quality < 1 || *options.quality > 100))
    fail(ErrorCode::invalid_argument, "{} is {}: give a number from 1 to 100", FieldName{"quality"}, *options.quality);
  if (format == PictureFormat::jpeg) check_jpeg_size(width, height);
  if (format == PictureFormat::webp) check_webp_size(width, height);
}

std::vector<std::byte> picture_bytes(const Image& image, PictureFormat format, const PictureOptions& options) {
  check_picture_options(format, options, image.width, image.height);
  const RgbView view{image.width, image.height, image.rgb};
  const PictureMetadata metadata = metadata_of(image, options);
  switch (format) {
    case PictureFormat::jpeg:
      return encode_jpeg(view, options.quality.value_or(kJpegQuality), metadata);
    case PictureFormat::webp:
      return encode_webp(view, options.quality, metadata);
    case PictureFormat::png:
      break;
  }
  return encode_png(view, text_of(metadata));
}

void save_picture(const std::filesystem::path& path, const Image& image, const PictureOptions& options, bool replace) {
  const PictureFormat format = picture_format(path);
  if (!replace && std::filesystem::exists(path))
    fail(ErrorCode::invalid_argument, "'{}' exists: give another name", path.string());
  write_file_atomically(path, picture_bytes(image, format, options), replace ? IfExists::replace : IfExists::fail);
}

}  // namespace tempera
