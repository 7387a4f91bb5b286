#include "text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "text/unicode.h"

namespace tempera {

Tokenizer Tokenizer::from_folder(const std::filesystem::path& folder, Padding padding) {
  return Tokenizer(parse_tokenizer_files(read_tokenizer_folder(folder), padding));
}

Tokenizer::Tokenizer(TokenizerFiles files) : files_(std::move(files)) {
  const auto& added = files_.added;
  for (size_t i = 0; i < added.size(); ++i) {
    if (added[i].content.empty()) continue;  // white space alone may normalise to nothing
    const auto first = static_cast<unsigned char>(added[i].content[0]);
    added_by_byte_[added[i].normalised][first].push_back(static_cast<uint16_t>(i));
  }
  for (auto& by_byte : added_by_byte_) {
    for (auto& indices : by_byte) {
      std::stable_sort(indices.begin(), indices.end(),
                       [&](uint16_t a, uint16_t b) { return added[a].content.size() > added[b].content.size(); });
    }
  }
}

Tokenizer Tokenizer::with_words(std::span<const Word> words, int32_t first_id) const {
  TokenizerFiles files = files_;
  int32_t id = first_id;
  const auto add = [&](const std::string& content, int32_t count) {
    const auto has_content = [&](const AddedToken& token) { return token.content == content; };
    if (files.bpe->id(content) || std::ranges::any_of(files_.added, has_content))
      fail(ErrorCode::invalid_argument,
           "the word '{}' of {} is a token of the model's vocabulary: give it another word", content,
           FieldName{"textual_inversion"});
    if (std::ranges::any_of(files.added, has_content))
      fail(ErrorCode::invalid_argument, "the word '{}' of {} is given twice: give one of the two another word", content,
           FieldName{"textual_inversion"});
    if (files.added.size() > UINT16_MAX)
      fail(ErrorCode::invalid_argument, "{} has more than {} vectors: give fewer files", FieldName{"textual_inversion"},
           UINT16_MAX);
    files.added.push_back({.content = content, .id = id, .normalised = true, .count = count});
  };
  for (const Word& word : words) {
    const std::string text = normalise(valid_utf8(word.text));
    if (text.find_first_not_of(' ') == std::string::npos)
      fail(ErrorCode::invalid_argument, "a word of {} is empty: give FILE:WORD", FieldName{"textual_inversion"});
    add(text, word.vectors);
    for (int i = 1; i < word.vectors; ++i) {
      ++id;
      add(fmt::format("{}_{}", text, i), 1);
    }
    ++id;
  }
  return Tokenizer(std::move(files));
}

void Tokenizer::share_vocabulary(const Tokenizer& other) {
  if (*files_.bpe == *other.files_.bpe) files_.bpe = other.files_.bpe;
}

Tokenizer::Encoding Tokenizer::encode(std::string_view text) const {
  Encoding encoding;
  auto& ids = encoding.ids;
  ids.push_back(files_.bos);
  append_text(valid_utf8(text), false, ids);
  const auto most = static_cast<size_t>(max_length()) - 1;  // the last place is for EOS
  if (ids.size() > most) {
    encoding.truncated = decode(std::span(ids).subspan(most));
    encoding.truncated_tokens = static_cast<int>(ids.size() - most);
    ids.resize(most);
  }
  encoding.eos_index = static_cast<int>(ids.size());
  encoding.tokens = encoding.eos_index + 1;
  ids.push_back(files_.eos);
  ids.resize(static_cast<size_t>(max_length()), files_.pad);
  return encoding;
}

// Words that were added are not in the vocabulary. A word of several vectors is the text of its first one.
std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (size_t at = 0; at < ids.size();) {
    size_t end = at;
    while (end < ids.size() && ids[end] < vocabulary_size()) ++end;
    std::string part = files_.bpe->decode(ids.subspan(at, end - at));
    if (end == at) {
      const auto word = std::ranges::find(files_.added, ids[at], &AddedToken::id);
      end = at + 1;
      if (word == files_.added.end()) continue;
      part = word->content;
      while (end < ids.size() && ids[end] > ids[at] && ids[end] < ids[at] + word->count) ++end;
    }
    text += (text.empty() || part.empty() ? "" : " ") + part;
    at = end;
  }
  return text;
}

void Tokenizer::append_text(std::string_view text, bool normalised, std::vector<int32_t>& ids) const {
  const auto append_rest = [&](std::string_view rest) {
    if (normalised) {
      append_words(rest, ids);
    } else if (!rest.empty()) {
      append_text(normalise(rest), true, ids);
    }
  };
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const AddedToken* token = added_token_at(text, at, normalised);
    if (token == nullptr) {
      ++at;
      continue;
    }
    const size_t end = at + token->content.size();
    const bool touches = ends_in_word(text.substr(0, at)) || starts_in_word(text.substr(end));
    if (!token->single_word || !touches) {
      append_rest(text.substr(done, at - done));
      for (int32_t i = 0; i < token->count; ++i) ids.push_back(token->id + i);
      done = end;
    }
    at = end;
  }
  append_rest(text.substr(done));
}

void Tokenizer::append_words(std::string_view text, std::vector<int32_t>& ids) const {
  for (const std::string_view word : split_words(text)) files_.bpe->encode(word, files_.unknown, ids);
}

// The longest of the added tokens that `text` has at `at`, a byte position. A token and the text are valid UTF-8, so a
// match never begins inside a character.
const AddedToken* Tokenizer::added_token_at(std::string_view text, size_t at, bool normalised) const {
  for (const uint16_t index : added_by_byte_[normalised][static_cast<unsigned char>(text[at])]) {
    const AddedToken& token = files_.added[index];
    if (text.substr(at).starts_with(token.content)) return &token;
  }
  return nullptr;
}

int pooled_index(std::span<const int32_t> ids, int64_t eos_token_id) {
  TEMPERA_ASSERT(!ids.empty());
  if (eos_token_id == 2) return static_cast<int>(std::max_element(ids.begin(), ids.end()) - ids.begin());
  const auto found = std::find(ids.begin(), ids.end(), eos_token_id);
  return found == ids.end() ? 0 : static_cast<int>(found - ids.begin());
}

}  // namespace tempera
