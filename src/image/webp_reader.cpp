// WebP files, through libwebp. The library for containers, libwebpdemux, finds the chunks of metadata.
#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>
#include <string>

#include "base/utf8.h"
#include "image/decoders.h"
#include "image/icc.h"

namespace tempera {
namespace {

struct CloseDemuxer {
  void operator()(WebPDemuxer* demuxer) const { WebPDemuxDelete(demuxer); }
};
using Demuxer = std::unique_ptr<WebPDemuxer, CloseDemuxer>;

// The data of the first chunk of this kind; empty if there is none.
std::vector<std::byte> chunk_of(const Demuxer& demuxer, const char* kind) {
  WebPChunkIterator iterator;
  std::vector<std::byte> data;
  if (WebPDemuxGetChunk(demuxer.get(), kind, 1, &iterator) != 0) {
    const Bytes bytes = std::as_bytes(std::span(iterator.chunk.bytes, iterator.chunk.size));
    data.assign(bytes.begin(), bytes.end());
  }
  WebPDemuxReleaseChunkIterator(&iterator);
  return data;
}

}  // namespace

PictureParts scan_webp(const PictureSource& source) {
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(as_uint8(source.bytes), source.bytes.size(), &features);
  if (status == VP8_STATUS_NOT_ENOUGH_DATA) source.refuse("it is truncated");
  if (status != VP8_STATUS_OK) source.refuse("its header is damaged");
  // Before the container is read, because that makes a list of all frames.
  if (features.has_animation != 0) source.refuse("it is an animation, give a picture of one frame");
  const WebPData data{as_uint8(source.bytes), source.bytes.size()};
  const Demuxer demuxer(WebPDemux(&data));
  if (demuxer == nullptr) source.refuse("it is truncated or damaged");
  PictureParts parts;
  parts.width = features.width;
  parts.height = features.height;
  parts.exif = chunk_of(demuxer, "EXIF");
  parts.icc = chunk_of(demuxer, "ICCP");
  if (parts.icc.size() > kMaxProfileBytes) source.refuse("its ICC profile is larger than 4 MiB");
  const std::vector<std::byte> xmp = chunk_of(demuxer, "XMP ");
  if (!xmp.empty()) add_text(parts.text, "XML:com.adobe.xmp", valid_utf8(as_text(xmp)));
  return parts;
}

Image8 decode_webp(const PictureSource& source, const PictureParts& parts) {
  const size_t stride = static_cast<size_t>(parts.width) * 3;
  Image8 image{parts.width, parts.height, std::vector<uint8_t>(stride * parts.height)};
  if (WebPDecodeRGBInto(as_uint8(source.bytes), source.bytes.size(), image.rgb.data(), image.rgb.size(),
                        static_cast<int>(stride)) == nullptr) {
    source.refuse("its picture is truncated or damaged");
  }
  const ToSrgb to_srgb(parts.icc, Samples::rgb);
  if (!to_srgb.is_identity()) {
    for (size_t y = 0; y < static_cast<size_t>(parts.height); ++y) {
      const auto row = std::span(image.rgb).subspan(y * stride, stride);
      to_srgb.convert(row, row);
    }
  }
  return image;
}

}  // namespace tempera
