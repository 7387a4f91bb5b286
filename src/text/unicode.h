// Unicode as CLIP's tokenizer sees it: its normal form, its division into words. All functions expect valid UTF-8. The
// only place that knows utf8proc, whose tables differ from the tokenizers library's in what Unicode added after 15.0,
// and for the order of accents added after 9.0.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tempera {

// Canonical composition (NFC), then every run of white space becomes one space, then lower case code point by code
// point (a capital sigma never becomes a final one). The order matters: transformers' CLIPTokenizer.
std::string normalise(std::string_view text);

// The words of normalised text, as CLIP's regular expression and then the byte-level one of GPT-2 cut it: English
// contractions ('s 't 're 've 'm 'll 'd), runs of letters, single numbers, runs of anything else; white space separates
// and is dropped. Special tokens spelled out, which other code has taken out before, count as three words.
std::vector<std::string_view> split_words(std::string_view text);

// Whether `text` ends or starts with a character that belongs to words (a letter, mark, decimal digit or connector).
bool ends_in_word(std::string_view text);
bool starts_in_word(std::string_view text);

std::string unicode_library_version();  // of the utf8proc loaded: "2.8.0"

}  // namespace tempera
