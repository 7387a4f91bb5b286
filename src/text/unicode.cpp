#include "text/unicode.h"

#include <utf8proc.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <new>

#include "base/error.h"
#include "base/utf8.h"

namespace tempera {
namespace {
enum class Kind { letter, number, space, other };

utf8proc_category_t category(char32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

// The classes \p{L}, \p{N} and \s of Oniguruma, the regular expression engine of the tokenizers library.
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
}  // namespace

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
      normal += "i\u0307";  // the only code point whose lower case has two; utf8proc_tolower returns one
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

std::string unicode_library_version() {
  return utf8proc_version();
}

}  // namespace tempera
