#include "image/png.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "image/picture_metadata.h"
#include "image/png_structs.h"

namespace tempera {
namespace {
constexpr int kCompressionLevel = 2;  // zlib's; 1 to 9 gain a few per cent in size for several times the time

struct Output {
  RgbView image;
  std::vector<std::pair<bool, std::string>> texts;  // whether international; the chunk's bytes
  std::vector<std::byte> bytes;
  PngComplaint message;
};

void append(png_structp png, png_bytep data, size_t size) {
  auto& bytes = static_cast<Output*>(png_get_io_ptr(png))->bytes;
  bool failed = false;
  try {
    const auto* begin = reinterpret_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), begin, begin + size);
  } catch (...) {
    failed = true;
  }
  if (failed) png_error(png, "out of memory");
}

bool write_all(png_structp png, png_infop info, Output& output) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_write_fn(png, &output, append, nullptr);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_compression_level(png, kCompressionLevel);
  png_set_IHDR(png, info, static_cast<png_uint_32>(output.image.width), static_cast<png_uint_32>(output.image.height),
               8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (const auto& [international, data] : output.texts) {
    const auto* name = reinterpret_cast<png_const_bytep>(international ? "iTXt" : "tEXt");
    png_write_chunk(png, name, reinterpret_cast<png_const_bytep>(data.data()), data.size());
  }
  const size_t row = static_cast<size_t>(output.image.width) * 3;
  for (int y = 0; y < output.image.height; ++y)
    png_write_row(png, output.image.rgb.data() + static_cast<size_t>(y) * row);
  png_write_end(png, nullptr);
  return true;
}

// The content of a tEXt or iTXt chunk, and whether it is the latter.
std::pair<bool, std::string> text_chunk(const std::string& keyword, std::string_view raw) {
  const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
  TEMPERA_ASSERT(!keyword.empty() && keyword.size() <= 79 && std::all_of(keyword.begin(), keyword.end(), printable));
  std::string text = valid_utf8(raw);
  std::erase(text, '\0');
  std::string latin1;
  bool international = keyword == kXmpKeyword;
  for (size_t at = 0; at < text.size() && !international;) {
    const char32_t code = next_code_point(text, at);
    international = code > 0xFF;
    latin1 += static_cast<char>(code);
  }
  // An iTXt chunk begins with more zeros: not compressed (two bytes), no language, no translated keyword.
  return {international, keyword + std::string(international ? 5 : 1, '\0') + (international ? text : latin1)};
}

}  // namespace

std::vector<std::byte> encode_png(RgbView image, const PictureText& text) {
  TEMPERA_ASSERT(image.width > 0 && image.height > 0);
  TEMPERA_ASSERT(image.rgb.size() == static_cast<size_t>(image.width) * image.height * 3);
  Output output{image, {}, {}, {}};
  for (const auto& [keyword, value] : text) output.texts.push_back(text_chunk(keyword, value));
  PngStructs structs{png_create_write_struct(PNG_LIBPNG_VER_STRING, &output.message, on_png_error, on_png_warning),
                     nullptr, [](PngStructs& s) { png_destroy_write_struct(&s.png, &s.info); }};
  if (structs.png != nullptr) structs.info = png_create_info_struct(structs.png);
  if (structs.info == nullptr || !write_all(structs.png, structs.info, output)) {
    fail(ErrorCode::out_of_memory, "a picture of {} x {} cannot be packed as PNG: {}", image.width, image.height,
         structs.info == nullptr ? "out of memory" : output.message.text.data());
  }
  return std::move(output.bytes);
}

std::string libpng_version() {
  return png_get_libpng_ver(nullptr);
}

}  // namespace tempera
