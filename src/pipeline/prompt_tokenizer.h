// From a text to the inputs of one text encoder. Words of textual inversion are ids after those of the encoder's table.
// The rows of their vectors are an input (models/clip.h: extra), so the packed table stays as it is.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/config.h"
#include "source/word_embedding.h"
#include "text/tokenizer.h"

namespace tempera {

// Rows of the input "extra" for prompts of this padded length: a text has no more ids between start and end.
constexpr int extra_rows(int tokens) {
  return tokens - 2;
}

class PromptTokenizer {
 public:
  // encoder: 0 or 1, the index in WordEmbedding.
  PromptTokenizer(Tokenizer tokenizer, const ClipConfig& clip, size_t encoder);

  // Replaces the words. Throws as Tokenizer::with_words; then there are no words.
  void set_words(std::span<const WordEmbedding> words);

  struct Inputs {
    std::vector<int32_t> ids;         // (T); id V + i is row i of extra, V the rows of the encoder's table
    int32_t pooled = 0;               // position of the pooled vector (text/tokenizer.h: pooled_index)
    std::vector<float> extra = {};    // (extra_rows(T), C); empty if set_words was called without words
    std::set<std::string> used = {};  // the words in the text
    uint64_t identity = 0;            // of ids and rows; 0 if the text has none of the words
  };
  Inputs inputs(std::string_view text) const;
  uint64_t identity(std::string_view text) const { return words_.empty() ? 0 : inputs(text).identity; }

  const Tokenizer& tokenizer() const { return with_words_ ? *with_words_ : plain_; }

 private:
  struct Word {
    std::string text;
    int32_t first = 0;        // id of the first vector; the others follow
    std::vector<float> rows;  // (K, C)
    uint64_t identity = 0;    // WordEmbedding's
  };
  const Word& word_of(int32_t id) const;

  Tokenizer plain_;
  std::optional<Tokenizer> with_words_;
  size_t encoder_, width_;  // width_: C
  int32_t table_;           // V
  int64_t eos_token_id_;
  bool has_extra_ = false;
  std::vector<Word> words_;  // of this encoder, in the order of their ids
};

}  // namespace tempera
