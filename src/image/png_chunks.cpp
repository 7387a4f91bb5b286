// The header and the metadata of PNG files. libpng cannot read the texts after the picture without decoding the
// picture, so this file goes through the chunks.
#define ZLIB_CONST  // zlib's input pointers are const
#include <zlib.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "base/utf8.h"
#include "image/decoders.h"

namespace tempera {
namespace {
using namespace std::string_view_literals;

constexpr auto kSignature = "\x89PNG\r\n\x1a\n"sv;
constexpr size_t kChunkOverhead = 12;  // length, type, checksum
constexpr size_t kHeaderBytes = 13;
constexpr size_t kMaxKeywordBytes = 79;

uint32_t u32(Bytes bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<uint32_t>(bytes[i]);
  return value;
}

struct Chunk {
  std::string_view type;
  Bytes data;
  bool intact;  // the checksum is right; as in libpng, texts of other chunks are left out
};

// The next chunk of `left`, which then begins after it. Nullopt if it is not all inside the file.
std::optional<Chunk> next_chunk(Bytes& left) {
  if (left.size() < kChunkOverhead) return std::nullopt;
  const size_t length = u32(left);
  if (length > left.size() - kChunkOverhead) return std::nullopt;
  Chunk chunk{as_text(left.subspan(4, 4)), left.subspan(8, length), true};
  // Checksums of the other chunks are libpng's task.
  constexpr std::array kRead = {"tEXt"sv, "zTXt"sv, "iTXt"sv, "iCCP"sv, "eXIf"sv, "acTL"sv};
  if (std::find(kRead.begin(), kRead.end(), chunk.type) != kRead.end()) {
    const uLong sum = crc32(0, as_uint8(left.subspan(4)), static_cast<uInt>(length + 4));
    chunk.intact = sum == u32(left.subspan(8 + length));
  }
  left = left.subspan(length + kChunkOverhead);
  return chunk;
}

enum class Inflated { whole, broken, too_large };

// Appends the decompressed `packed` to `out`, at most `limit` bytes.
Inflated inflate_into(std::string& out, std::string_view packed, size_t limit) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return Inflated::broken;
  stream.next_in = reinterpret_cast<const Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  std::array<char, 16384> part;
  int status = Z_OK;
  while (status == Z_OK && out.size() <= limit) {
    stream.next_out = reinterpret_cast<Bytef*>(part.data());
    stream.avail_out = static_cast<uInt>(part.size());
    status = inflate(&stream, Z_NO_FLUSH);
    out.append(part.data(), part.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (out.size() > limit) return Inflated::too_large;
  return status == Z_STREAM_END ? Inflated::whole : Inflated::broken;
}

std::string from_latin1(std::string_view text) {
  std::string utf8;
  for (const char c : text) append_utf8(utf8, static_cast<unsigned char>(c));
  return utf8;
}

// The part of `text` before the next NUL; `text` then begins after the NUL. Nullopt without a NUL.
std::optional<std::string_view> cut(std::string_view& text) {
  const size_t end = text.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end + 1);
  return part;
}

// Decompresses if `compressed`. Nullopt for a broken or too large text.
std::optional<std::string> unpacked(std::string_view text, bool compressed) {
  if (!compressed) return text.size() <= kMaxTextBytes ? std::optional(std::string(text)) : std::nullopt;
  std::string plain;
  if (inflate_into(plain, text, kMaxTextBytes) != Inflated::whole) return std::nullopt;
  return plain;
}

// tEXt: keyword, NUL, Latin-1. zTXt: keyword, NUL, method 0, compressed Latin-1. iTXt: keyword, NUL, whether
// compressed, method 0, language, NUL, keyword in it, NUL, UTF-8.
void read_text(const Chunk& chunk, PictureText& text) {
  std::string_view rest = as_text(chunk.data);
  const std::optional<std::string_view> keyword = cut(rest);
  if (!keyword || keyword->empty() || keyword->size() > kMaxKeywordBytes) return;
  const bool international = chunk.type == "iTXt";
  bool compressed = chunk.type == "zTXt";
  if (international) {
    if (rest.size() < 2) return;
    compressed = rest[0] != 0;
  }
  const size_t flags = international ? 2 : compressed ? 1 : 0;
  if (rest.size() < flags || (compressed && rest[flags - 1] != 0)) return;
  rest.remove_prefix(flags);
  if (international && (!cut(rest) || !cut(rest))) return;
  const std::optional<std::string> value = unpacked(rest, compressed);
  if (!value) return;
  // As in C strings, a Latin-1 text ends at a NUL.
  const std::string key = from_latin1(*keyword);
  add_text(text, key, international ? valid_utf8(*value) : from_latin1(value->substr(0, value->find('\0'))));
}

// A profile that cannot be decompressed is ignored, as one that cannot be read (image/icc.h).
void read_profile(const PictureSource& source, const Chunk& chunk, std::vector<std::byte>& icc) {
  std::string_view rest = as_text(chunk.data);
  if (!cut(rest) || rest.empty() || rest[0] != 0) return;
  std::string profile;
  const Inflated result = inflate_into(profile, rest.substr(1), kMaxProfileBytes);
  if (result == Inflated::too_large) source.refuse("its ICC profile is larger than 4 MiB");
  if (result != Inflated::whole) return;
  const Bytes bytes = std::as_bytes(std::span(profile));
  icc.assign(bytes.begin(), bytes.end());
}

// EXIF data as ImageMagick stored it before PNG had a chunk for it, in the text "Raw profile type exif": three lines,
// then hexadecimal digits.
std::vector<std::byte> exif_of_text(const PictureText& text) {
  std::vector<std::byte> exif;
  const auto entry =
      std::find_if(text.begin(), text.end(), [](const auto& e) { return e.first == "Raw profile type exif"; });
  if (entry == text.end()) return exif;
  std::string_view rest = entry->second;
  for (int line = 0; line < 3; ++line) rest.remove_prefix(std::min(rest.size(), rest.find('\n') + 1));
  int high = -1;
  for (const char c : rest) {
    const size_t digit = "0123456789abcdef0123456789ABCDEF"sv.find(c);
    if (digit == std::string_view::npos) continue;
    const int value = static_cast<int>(digit % 16);
    if (high >= 0) exif.push_back(static_cast<std::byte>(high * 16 + value));
    high = high >= 0 ? -1 : value;
  }
  return exif;
}

}  // namespace

PictureParts scan_png(const PictureSource& source) {
  PictureParts parts;
  size_t texts = 0;
  bool has_profile = false;
  Bytes left = source.bytes.subspan(std::min(source.bytes.size(), kSignature.size()));
  for (bool first = true;; first = false) {
    const std::optional<Chunk> chunk = next_chunk(left);
    if (!chunk) source.refuse("it is truncated");
    const std::string_view type = chunk->type;
    if (first) {
      if (type != "IHDR" || chunk->data.size() != kHeaderBytes) source.refuse("its header is damaged");
      // Sides of more than 31 bits are not allowed.
      parts.width = static_cast<int>(std::min<uint32_t>(u32(chunk->data), INT32_MAX));
      parts.height = static_cast<int>(std::min<uint32_t>(u32(chunk->data.subspan(4)), INT32_MAX));
    }
    if (type == "IEND") break;
    if (!chunk->intact) continue;
    // Texts that are left out count too: each can take the time of decompressing 1 MiB.
    const bool is_text = type == "tEXt" || type == "zTXt" || type == "iTXt";
    if (is_text && ++texts <= kMaxTexts) read_text(*chunk, parts.text);
    if (type == "eXIf" && parts.exif.empty()) parts.exif.assign(chunk->data.begin(), chunk->data.end());
    if (type == "iCCP" && !std::exchange(has_profile, true)) read_profile(source, *chunk, parts.icc);
    if (type == "acTL" && chunk->data.size() >= 4 && u32(chunk->data) > 1)
      source.refuse("it is an animation, give a picture of one frame");
  }
  if (parts.exif.empty()) parts.exif = exif_of_text(parts.text);
  return parts;
}

std::string zlib_library_version() {
  return zlibVersion();
}

}  // namespace tempera
