// The first byte selects one of two tests:
//    even  the rest is the files of a tokenizer folder, separated by 0xFF (which no UTF-8 text has); they are loaded or
//          give Error(bad_file)
//    odd   the rest is a prompt for a fixed tokenizer
// A loaded tokenizer encodes a prompt to ids inside the vocabulary, and always to the same ids.
#include <algorithm>
#include <cstdint>

#include "base/error.h"
#include "expect.h"
#include "text/tokenizer.h"

namespace {
using tempera::expect;
using tempera::Tokenizer;
using tempera::TokenizerTexts;

void check_encoding(const Tokenizer& tokenizer, std::string_view text) {
  const auto encoding = tokenizer.encode(text);
  expect(encoding.ids.size() == static_cast<size_t>(tokenizer.max_length()));
  for (const int32_t id : encoding.ids) expect(id >= 0 && id < tokenizer.vocabulary_size());
  expect(encoding.tokens >= 2 && encoding.eos_index == encoding.tokens - 1);
  expect(encoding.ids[0] == tokenizer.bos() && encoding.ids[encoding.eos_index] == tokenizer.eos());
  expect(encoding.truncated.empty() || encoding.tokens == tokenizer.max_length());
  expect(tokenizer.encode(text).ids == encoding.ids);
}

const Tokenizer& fixed_tokenizer() {
  static const Tokenizer kTokenizer = Tokenizer::from_folder(TEMPERA_FUZZ_TOKENIZER);
  return kTokenizer;
}

std::string_view next_part(std::string_view& text) {
  const size_t end = std::min(text.find('\xFF'), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

void load(std::string_view text) {
  TokenizerTexts texts;
  texts.folder = "fuzz";
  for (auto* file : {&texts.tokenizer, &texts.vocabulary, &texts.merges, &texts.config, &texts.special_tokens,
                     &texts.added_tokens}) {
    if (const std::string_view part = next_part(text); !part.empty()) *file = std::string(part);
  }
  try {
    const Tokenizer tokenizer(tempera::parse_tokenizer_files(texts));
    check_encoding(tokenizer, "A photo, of the <x>'s 12 \xF0\x9F\x98\x80 <|endoftext|>!");
    check_encoding(tokenizer, text);
  } catch (const tempera::Error& error) {
    expect(error.code() == tempera::ErrorCode::bad_file);
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    load(rest);
  } else {
    check_encoding(fixed_tokenizer(), rest);
  }
  return 0;
}
