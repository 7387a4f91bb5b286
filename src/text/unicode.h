// Unicode in CLIP's tokenizer: its normal form, and its division into words. All functions need valid UTF-8. Only this
// file uses utf8proc. Its tables differ from those of the tokenizers library for characters added after Unicode 15.0,
// and for the order of accents added after 9.0.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tempera {

// Canonical composition (NFC), then every run of white space becomes one space, then lower case, code point by code
// point (a capital sigma never becomes a final one). The order is that of transformers' CLIPTokenizer.
std::string normalise(std::string_view text);

// The words of normalised text, divided by CLIP's regular expression and then by the byte-level one of GPT-2: English
// contractions ('s 't 're 've 'm 'll 'd), runs of letters, single numbers, runs of other characters. White space
// separates words and is dropped. A special token in the text would be three words; other code removes it before.
std::vector<std::string_view> split_words(std::string_view text);

// Whether `text` ends or starts with a character that belongs to words (a letter, mark, decimal digit or connector).
bool ends_in_word(std::string_view text);
bool starts_in_word(std::string_view text);

std::string unicode_library_version();  // of the utf8proc loaded: "2.8.0"

}  // namespace tempera
