// The pixels of PNG files, through libpng. png_chunks.cpp reads the rest.
#include <cstring>

#include "base/utf8.h"
#include "image/decoders.h"
#include "image/icc.h"
#include "image/png_structs.h"

namespace tempera {
namespace {

struct Input {
  Bytes left;
  Image8 image;
  std::vector<png_bytep> rows;
  bool grey = false;
  PngComplaint message;
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
    input.image = {width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3)};
    input.rows.resize(height);
  } catch (...) {
    return false;
  }
  for (int y = 0; y < height; ++y) input.rows[y] = input.image.rgb.data() + static_cast<size_t>(y) * width * 3;
  return true;
}

bool read_all(png_structp png, png_infop info, Input& input) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_read_fn(png, &input, consume);
  png_set_user_limits(png, kMaxPictureSide, kMaxPictureSide);
  // A negative number is for all chunks that do not change the pixels. So libpng does not decompress texts and
  // profiles.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(png, info);
  const auto width = static_cast<int>(png_get_image_width(png, info));
  const auto height = static_cast<int>(png_get_image_height(png, info));
  // Deflate packs 1032 to 1 at best, so a small file cannot make us reserve a large picture.
  if (png_get_rowbytes(png, info) * static_cast<size_t>(height) / 1100 > input.left.size()) {
    png_error(png, "it is truncated");
  }
  input.grey = (png_get_color_type(png, info) & PNG_COLOR_MASK_COLOR) == 0;
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

// libpng has expanded grey to three equal values.
void convert_to_srgb(Image8& image, bool grey, Bytes profile) {
  const ToSrgb to_srgb(profile, grey ? Samples::grey : Samples::rgb);
  if (!grey && to_srgb.is_identity()) return;
  const size_t width = image.width;
  std::vector<uint8_t> levels(grey ? width : 0);
  for (size_t y = 0; y < static_cast<size_t>(image.height); ++y) {
    const auto row = std::span(image.rgb).subspan(y * width * 3, width * 3);
    for (size_t x = 0; x < levels.size(); ++x) levels[x] = row[x * 3];
    to_srgb.convert(grey ? std::span<const uint8_t>(levels) : row, row);
  }
}

}  // namespace

Image8 decode_png(const PictureSource& source, const PictureParts& parts) {
  Input input{source.bytes, {}, {}, {}, {}};
  PngStructs structs{png_create_read_struct(PNG_LIBPNG_VER_STRING, &input.message, on_png_error, on_png_warning),
                     nullptr, [](PngStructs& s) { png_destroy_read_struct(&s.png, &s.info, nullptr); }};
  if (structs.png != nullptr) structs.info = png_create_info_struct(structs.png);
  if (structs.info == nullptr) source.refuse("out of memory");
  if (!read_all(structs.png, structs.info, input)) source.refuse(valid_utf8(input.message.text.data()));
  if (!parts.icc.empty()) convert_to_srgb(input.image, input.grey, parts.icc);
  return std::move(input.image);
}

}  // namespace tempera
