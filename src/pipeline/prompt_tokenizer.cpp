#include "pipeline/prompt_tokenizer.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/mix.h"

namespace tempera {

PromptTokenizer::PromptTokenizer(Tokenizer tokenizer, const ClipConfig& clip, size_t encoder)
    : plain_(std::move(tokenizer)),
      encoder_(encoder),
      width_(static_cast<size_t>(clip.hidden_size)),
      table_(clip.vocab_size),
      eos_token_id_(clip.eos_token_id) {}

void PromptTokenizer::set_words(std::span<const WordEmbedding> words) {
  with_words_.reset();
  words_.clear();
  has_extra_ = false;
  std::vector<Word> list;
  std::vector<Tokenizer::Word> texts;
  int32_t next = table_;
  for (const WordEmbedding& word : words) {
    const int count = word.count[encoder_];
    if (count == 0) continue;
    list.push_back({word.word, next, word.vectors[encoder_], word.identity});
    texts.push_back({word.word, count});
    next += count;
  }
  if (!list.empty()) with_words_ = plain_.with_words(texts, table_);
  words_ = std::move(list);
  has_extra_ = !words.empty();
}

const PromptTokenizer::Word& PromptTokenizer::word_of(int32_t id) const {
  const auto after = std::ranges::upper_bound(words_, id, {}, &Word::first);
  TEMPERA_ASSERT(after != words_.begin());
  return *std::prev(after);
}

PromptTokenizer::Inputs PromptTokenizer::inputs(std::string_view text) const {
  Inputs inputs{tokenizer().encode(text).ids};
  inputs.pooled = pooled_index(inputs.ids, eos_token_id_);  // of the words' own ids: it may be a word's position
  if (has_extra_) inputs.extra.resize(static_cast<size_t>(extra_rows(tokenizer().max_length())) * width_);
  uint64_t identity = 0;
  std::map<int32_t, int32_t> rows;  // of the words' ids
  for (int32_t& id : inputs.ids) {
    identity = mixed(identity, static_cast<uint64_t>(id));
    if (id < table_) continue;
    const Word& word = word_of(id);
    const auto vector = static_cast<size_t>(id - word.first);
    inputs.used.insert(word.text);
    identity = mixed(identity, mixed(word.identity, vector));
    const auto [row, is_new] = rows.try_emplace(id, static_cast<int32_t>(rows.size()));
    if (is_new)
      std::copy_n(&word.rows[vector * width_], width_, &inputs.extra[static_cast<size_t>(row->second) * width_]);
    id = table_ + row->second;
  }
  if (!rows.empty()) inputs.identity = identity;
  return inputs;
}

}  // namespace tempera
