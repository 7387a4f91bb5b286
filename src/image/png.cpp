#include "image/png.h"

#include <png.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/utf8.h"
#include "image/picture_metadata.h"

// libpng reports errors by longjmp. So each of write_all and read_all holds nothing that has a destructor between its
// setjmp and its end: vectors live in the callers' Output and Input, and exceptions stop at the callbacks.

namespace tempera {
namespace {
constexpr uint32_t kMaxSide = 8192;
constexpr size_t kMaxEncodedBytes = size_t{32} << 20;
constexpr size_t kMaxTextBytes = size_t{1} << 20;
constexpr int kMaxTexts = 64;
constexpr int kCompressionLevel = 2;  // zlib's; 1 to 9 gain a few per cent in size for several times the time

struct Complaint {
  std::array<char, 160> text{};
};

[[noreturn]] void on_error(png_structp png, png_const_charp text) {
  auto* message = static_cast<Complaint*>(png_get_error_ptr(png));
  std::snprintf(message->text.data(), message->text.size(), "%s", text);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

struct Output {
  RgbView image;
  std::vector<std::pair<bool, std::string>> texts;  // whether international; the chunk's bytes
  std::vector<std::byte> bytes;
  Complaint message;
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

struct Input {
  std::span<const std::byte> left;
  PngFile file;
  std::vector<png_bytep> rows;
  Complaint message;
};

void consume(png_structp png, png_bytep data, size_t size) {
  auto& left = static_cast<Input*>(png_get_io_ptr(png))->left;
  if (left.size() < size) png_error(png, "it is truncated");
  std::memcpy(data, left.data(), size);
  left = left.subspan(size);
}

// Room for the picture; false when there is no memory. libpng refuses sides above the limit before this.
bool allocate(Input& input, int width, int height) {
  try {
    input.file.image = {width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3)};
    input.rows.resize(height);
  } catch (...) {
    return false;
  }
  for (int y = 0; y < height; ++y) input.rows[y] = input.file.image.rgb.data() + static_cast<size_t>(y) * width * 3;
  return true;
}

bool read_all(png_structp png, png_infop info, Input& input) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_read_fn(png, &input, consume);
  png_set_user_limits(png, kMaxSide, kMaxSide);
  png_set_chunk_malloc_max(png, kMaxTextBytes);
  png_set_chunk_cache_max(png, kMaxTexts);
  png_read_info(png, info);
  const auto width = static_cast<int>(png_get_image_width(png, info));
  const auto height = static_cast<int>(png_get_image_height(png, info));
  // Deflate packs 1032 to 1 at best, so a small file cannot make us reserve a large picture.
  if (png_get_rowbytes(png, info) * static_cast<size_t>(height) / 1100 > input.left.size()) {
    png_error(png, "it is truncated");
  }
  png_set_expand(png);  // palettes and fewer than 8 bits
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != static_cast<size_t>(width) * 3) png_error(png, "its colour type is unknown");
  if (!allocate(input, width, height)) png_error(png, "out of memory");
  png_read_image(png, input.rows.data());
  png_read_end(png, info);
  return true;
}

// Whether every chunk up to IEND is inside the file. libpng allocates the declared size of a chunk before it reads it,
// up to 2 GiB.
bool chunks_fit(std::span<const std::byte> bytes) {
  constexpr size_t kSignature = 8;
  constexpr size_t kChunkOverhead = 12;  // length, type, checksum
  auto left = bytes.subspan(kSignature);
  while (left.size() >= kChunkOverhead) {
    const auto* begin = reinterpret_cast<png_const_bytep>(left.data());
    const size_t length = png_get_uint_32(begin);
    if (length > left.size() - kChunkOverhead) return false;
    if (std::memcmp(begin + 4, "IEND", 4) == 0) return true;
    left = left.subspan(length + kChunkOverhead);
  }
  return false;
}

std::string from_latin1(std::string_view text) {
  std::string utf8;
  for (const char c : text) append_utf8(utf8, static_cast<unsigned char>(c));
  return utf8;
}

PngText collect_text(png_structp png, png_infop info) {
  PngText text;
  png_textp entries = nullptr;
  int count = 0;
  png_get_text(png, info, &entries, &count);
  for (int i = 0; i < count; ++i) {
    const png_text& entry = entries[i];
    if (entry.key == nullptr || entry.text == nullptr) continue;
    const bool international = entry.compression >= PNG_ITXT_COMPRESSION_NONE;
    const std::string_view value(entry.text, international ? entry.itxt_length : entry.text_length);
    if (value.size() > kMaxTextBytes) continue;
    text.emplace_back(from_latin1(entry.key), international ? valid_utf8(value) : from_latin1(value));
  }
  return text;
}

// libpng's two structures, freed together.
struct PngStructs {
  png_structp png = nullptr;
  png_infop info = nullptr;
  void (*destroy)(PngStructs&);
  ~PngStructs() { destroy(*this); }
};
}  // namespace

std::vector<std::byte> encode_png(RgbView image, const PngText& text) {
  TEMPERA_ASSERT(image.width > 0 && image.height > 0);
  TEMPERA_ASSERT(image.rgb.size() == static_cast<size_t>(image.width) * image.height * 3);
  Output output{image, {}, {}, {}};
  for (const auto& [keyword, value] : text) output.texts.push_back(text_chunk(keyword, value));
  PngStructs structs{png_create_write_struct(PNG_LIBPNG_VER_STRING, &output.message, on_error, on_warning), nullptr,
                     [](PngStructs& s) { png_destroy_write_struct(&s.png, &s.info); }};
  if (structs.png != nullptr) structs.info = png_create_info_struct(structs.png);
  if (structs.info == nullptr || !write_all(structs.png, structs.info, output)) {
    fail(ErrorCode::out_of_memory, "a picture of {} x {} cannot be packed as PNG: {}", image.width, image.height,
         structs.info == nullptr ? "out of memory" : output.message.text.data());
  }
  return std::move(output.bytes);
}

PngFile read_png(std::span<const std::byte> bytes, std::string_view what) {
  const auto refuse = [&](std::string_view why) {
    fail(ErrorCode::bad_file, "'{}' is not a readable PNG: {}", what, why);
  };
  if (bytes.size() > kMaxEncodedBytes) refuse("it is larger than 32 MiB");
  if (bytes.size() < 8 || png_sig_cmp(reinterpret_cast<png_const_bytep>(bytes.data()), 0, 8) != 0) {
    refuse("it does not begin as one");
  }
  if (!chunks_fit(bytes)) refuse("it is truncated");
  Input input{bytes, {}, {}, {}};
  PngStructs structs{png_create_read_struct(PNG_LIBPNG_VER_STRING, &input.message, on_error, on_warning), nullptr,
                     [](PngStructs& s) { png_destroy_read_struct(&s.png, &s.info, nullptr); }};
  if (structs.png != nullptr) structs.info = png_create_info_struct(structs.png);
  if (structs.info == nullptr) refuse("out of memory");
  if (!read_all(structs.png, structs.info, input)) refuse(valid_utf8(input.message.text.data()));
  input.file.text = collect_text(structs.png, structs.info);
  return std::move(input.file);
}

std::string libpng_version() {
  return png_get_libpng_ver(nullptr);
}

}  // namespace tempera
