// The pixels of JPEG files, through the classic interface of libjpeg-turbo (jpeglib.h). Its TurboJPEG interface, in the
// version of Debian 12, cannot give rows one at a time, so that a picture in CMYK would need one more buffer. It also
// cannot distinguish the harmless warnings from those of damaged pixels.
//
// libjpeg reports errors by longjmp, as libpng does (png_structs.h).
#include <cstdio>  // jpeglib.h uses FILE without including its header

#include <jpeglib.h>

#include <jerror.h>  // after jpeglib.h, which decides which messages exist

#include <array>
#include <csetjmp>
#include <string>

#include "base/utf8.h"
#include "image/decoders.h"
#include "image/icc.h"

namespace tempera {
namespace {

// A progressive picture of three colours usually has 10 scans. A scan of a few bytes can take as much time as the
// picture.
constexpr size_t kMaxScans = 64;
// Of the pixels and the coefficients of a progressive picture. 8192 x 8192 pixels with half the colour resolution need
// 384 MiB.
constexpr size_t kMaxMemory = size_t{448} << 20;

struct Decoder {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  std::jmp_buf jump{};
  std::array<char, JMSG_LENGTH_MAX> message{};

  ~Decoder() { jpeg_destroy_decompress(&info); }
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto* decoder = static_cast<Decoder*>(info->client_data);
  info->err->format_message(info, decoder->message.data());
  std::longjmp(decoder->jump, 1);
}

// Level -1 is a warning. Warnings of damaged pixels are errors here: libjpeg would fill the damaged part with grey.
void on_message(j_common_ptr info, int level) {
  if (level != -1) return;
  switch (info->err->msg_code) {
    case JWRN_ARITH_BAD_CODE:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_JPEG_EOF:
    case JWRN_MUST_RESYNC:
      on_error(info);
    default:
      break;
  }
}

bool read_header(Decoder& decoder, Bytes bytes) {
  if (setjmp(decoder.jump) != 0) return false;
  jpeg_create_decompress(&decoder.info);
  jpeg_mem_src(&decoder.info, as_uint8(bytes), static_cast<unsigned long>(bytes.size()));
  jpeg_read_header(&decoder.info, TRUE);
  return true;
}

size_t blocks_of(const jpeg_decompress_struct& info) {
  size_t blocks = 0;
  for (int i = 0; i < info.num_components; ++i)
    blocks += size_t{info.comp_info[i].width_in_blocks} * info.comp_info[i].height_in_blocks;
  return blocks;
}

// `row` has room for one row of samples.
bool read_pixels(Decoder& decoder, const ToSrgb& to_srgb, std::span<uint8_t> row, Image8& image) {
  if (setjmp(decoder.jump) != 0) return false;
  jpeg_decompress_struct& info = decoder.info;
  jpeg_start_decompress(&info);
  const size_t width = static_cast<size_t>(image.width) * 3;
  while (info.output_scanline < info.output_height) {
    const size_t y = info.output_scanline;
    JSAMPROW samples = row.data();
    jpeg_read_scanlines(&info, &samples, 1);
    to_srgb.convert(row, std::span(image.rgb).subspan(y * width, width));
  }
  jpeg_finish_decompress(&info);
  return true;
}

Samples samples_of(const PictureSource& source, int components) {
  switch (components) {
    case 1:
      return Samples::grey;
    case 3:
      return Samples::rgb;
    case 4:
      return Samples::ink_left;
    default:
      source.refuse("it has " + std::to_string(components) + " colour components, 1, 3 and 4 can be read");
  }
}

J_COLOR_SPACE output_of(Samples samples) {
  return samples == Samples::grey ? JCS_GRAYSCALE : samples == Samples::rgb ? JCS_RGB : JCS_CMYK;
}

// The limits of time and memory that depend on the way the file is coded.
void check_limits(const PictureSource& source, Decoder& decoder, size_t scans) {
  constexpr size_t kBlockBytes = 128;
  jpeg_decompress_struct& info = decoder.info;
  const size_t blocks = blocks_of(info), pixels = size_t{info.image_width} * info.image_height;
  if (scans > kMaxScans) source.refuse("it has more than 64 scans, save it again with another program");
  // A block has at least one bit, so a small file cannot make us reserve a large picture.
  if (blocks / 8 > source.bytes.size()) source.refuse("it is truncated");
  if (jpeg_has_multiple_scans(&info) != 0 && blocks * kBlockBytes + pixels * 3 > kMaxMemory) {
    source.refuse("it is too large for a progressive picture, save it as a baseline JPEG");
  }
}

}  // namespace

Image8 decode_jpeg(const PictureSource& source, const PictureParts& parts) {
  Decoder decoder;
  decoder.info.err = jpeg_std_error(&decoder.errors);
  decoder.info.client_data = &decoder;
  decoder.errors.error_exit = on_error;
  decoder.errors.emit_message = on_message;
  const auto refuse = [&] { source.refuse(valid_utf8(decoder.message.data())); };
  if (!read_header(decoder, source.bytes)) refuse();
  jpeg_decompress_struct& info = decoder.info;
  // The same header was read by scan_jpeg, so a difference is a damaged file.
  if (static_cast<int>(info.image_width) != parts.width || static_cast<int>(info.image_height) != parts.height)
    source.refuse("its headers disagree about its size");
  const Samples samples = samples_of(source, info.num_components);
  check_limits(source, decoder, parts.scans);
  info.out_color_space = output_of(samples);
  Image8 image{parts.width, parts.height, std::vector<uint8_t>(static_cast<size_t>(parts.width) * parts.height * 3)};
  std::vector<uint8_t> row(static_cast<size_t>(parts.width) * info.num_components);
  if (!read_pixels(decoder, ToSrgb(parts.icc, samples), row, image)) refuse();
  return image;
}

}  // namespace tempera
