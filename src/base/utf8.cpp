#include "base/utf8.h"

#include <cstdlib>

#include "base/error.h"

namespace tempera {
namespace {
unsigned byte_at(std::string_view text, size_t at) {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
}

// The length of the well-formed sequence at `at`, or, negated, of the ill-formed part there (Unicode 15.0, table 3-7).
int sequence_length(std::string_view text, size_t at) {
  const unsigned lead = byte_at(text, at);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return -1;
  const int length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (byte_at(text, at + 1) < low || byte_at(text, at + 1) > high) return -1;
  for (int i = 2; i < length; ++i) {
    if (byte_at(text, at + i) < 0x80 || byte_at(text, at + i) > 0xBF) return -i;
  }
  return length;
}
}  // namespace

std::string valid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size();) {
    const int length = sequence_length(bytes, at);
    const auto taken = static_cast<size_t>(std::abs(length));
    text += length > 0 ? bytes.substr(at, taken) : std::string_view("\xEF\xBF\xBD");
    at += taken;
  }
  return text;
}

char32_t next_code_point(std::string_view text, size_t& at) {
  const int length = sequence_length(text, at);
  TEMPERA_ASSERT(at < text.size() && length > 0);
  constexpr unsigned kLeadBits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  char32_t code = byte_at(text, at) & kLeadBits[length];
  for (int i = 1; i < length; ++i) code = (code << 6) | (byte_at(text, at + i) & 0x3FU);
  at += static_cast<size_t>(length);
  return code;
}

void append_utf8(std::string& text, char32_t code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
    return;
  }
  const int rest = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;  // bytes after the first, six bits each
  constexpr unsigned kLead[] = {0, 0xC0, 0xE0, 0xF0};
  text += static_cast<char>(kLead[rest] | (code >> (6 * rest)));
  for (int i = rest - 1; i >= 0; --i) text += static_cast<char>(0x80U | ((code >> (6 * i)) & 0x3FU));
}

}  // namespace tempera
