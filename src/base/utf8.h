// UTF-8 from outside: repair, and reading one code point at a time.
#pragma once

#include <string>
#include <string_view>

namespace tempera {

// `bytes` with every maximal ill-formed part replaced by U+FFFD (the practice that the Unicode standard recommends).
std::string valid_utf8(std::string_view bytes);

// The code point that starts at `at`. Moves `at` after it. `text` must be valid UTF-8 and longer than `at`.
char32_t next_code_point(std::string_view text, size_t& at);

void append_utf8(std::string& text, char32_t code);

}  // namespace tempera
