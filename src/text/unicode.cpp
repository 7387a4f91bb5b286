#include "text/unicode.h"

#include <utf8proc.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <new>

#include "base/error.h"

namespace tempera {
namespace {
enum class Kind { letter, number, space, other };

// The code point at `at` and the position after it; valid UTF-8 only.
char32_t next_code_point(std::string_view text, size_t& at) {
  utf8proc_int32_t code = 0;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto length = utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &code);
  TEMPERA_ASSERT(length > 0);
  at += static_cast<size_t>(length);
  return static_cast<char32_t>(code);
}

utf8proc_category_t category(char32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

// What \p{L}, \p{N} and \s match in Oniguruma, the engine behind the tokenizers library.
Kind kind_of(char32_t code) {
  switch (category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return Kind::letter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return Kind::number;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return Kind::space;
    default:
      return (code >= U'\t' && code <= U'\r') || code == U'\x85' ? Kind::space : Kind::other;
  }
}

bool is_word_character(char32_t code) {
  switch (category(code)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return kind_of(code) == Kind::letter;
  }
}

void append_utf8(std::string& text, char32_t code) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), bytes.data());
  text.append(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(length));
}

std::string compose(std::string_view text) {
  if (text.empty()) return {};
  utf8proc_uint8_t* mapped = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &mapped, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (length == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
  TEMPERA_ASSERT(length >= 0);
  return {reinterpret_cast<const char*>(mapped), static_cast<size_t>(length)};
}

// The end of the longest run of `kind` from `at`.
size_t run_end(std::string_view text, size_t at, Kind kind) {
  while (at < text.size()) {
    size_t next = at;
    if (kind_of(next_code_point(text, next)) != kind) break;
    at = next;
  }
  return at;
}

// The length of the well-formed sequence at `at`, or, negated, of the ill-formed part there (Unicode 15.0, table 3-7).
int sequence_length(std::string_view bytes, size_t at) {
  const auto byte = [&](size_t i) { return at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0U; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return -1;
  const int length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < low || byte(1) > high) return -1;
  for (int i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xBF) return -i;
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

std::string normalise(std::string_view text) {
  const std::string composed = compose(text);
  std::string normal;
  normal.reserve(composed.size());
  for (size_t at = 0; at < composed.size();) {
    const char32_t code = next_code_point(composed, at);
    if (kind_of(code) == Kind::space) {
      at = run_end(composed, at, Kind::space);
      normal += ' ';
    } else if (code == U'\u0130') {
      normal += "i\u0307";  // the one code point whose lower case is two; utf8proc_tolower gives one
    } else {
      append_utf8(normal, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code))));
    }
  }
  return normal;
}

std::vector<std::string_view> split_words(std::string_view text) {
  constexpr std::array<std::string_view, 2> kSpecial{"<|startoftext|>", "<|endoftext|>"};
  constexpr std::array<std::string_view, 7> kContractions{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  std::vector<std::string_view> words;
  size_t at = 0;
  const auto take = [&](size_t length) {
    words.push_back(text.substr(at, length));
    at += length;
  };
  const auto take_one_of = [&](const auto& spellings, const auto& how) {
    for (const std::string_view spelling : spellings) {
      if (text.substr(at).starts_with(spelling)) return how(spelling), true;
    }
    return false;
  };
  while (at < text.size()) {
    if (take_one_of(kSpecial, [&](std::string_view s) { take(2), take(s.size() - 4), take(2); })) continue;
    if (take_one_of(kContractions, [&](std::string_view s) { take(s.size()); })) continue;
    size_t next = at;
    const Kind kind = kind_of(next_code_point(text, next));
    if (kind == Kind::space) {
      at = next;
    } else {
      take((kind == Kind::number ? next : run_end(text, next, kind)) - at);
    }
  }
  return words;
}

bool ends_in_word(std::string_view text) {
  if (text.empty()) return false;
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) --at;
  return is_word_character(next_code_point(text, at));
}

bool starts_in_word(std::string_view text) {
  size_t at = 0;
  return !text.empty() && is_word_character(next_code_point(text, at));
}

}  // namespace tempera
