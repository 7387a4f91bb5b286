// The text encoders: from tokens to features. Each text is computed once for each encoder and cached.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "pipeline/conditioning.h"
#include "pipeline/prompt_tokenizer.h"
#include "pipeline/stages.h"
#include "runtime/executable.h"
#include "source/model_source.h"

namespace tempera {

class TextStage {
 public:
  // `source` must outlive the stage. Its text encoders must be open.
  TextStage(const ModelSource& source, LogSink log);

  // T: the padded length of a prompt.
  int tokens() const { return tokenizers_[1].tokenizer().max_length(); }

  // Computes the features of the request's texts that are not cached. `programs`: those of the stages with the role
  // text, in the same order. Each is loaded when it is needed. Without `remember`, features of other texts are dropped
  // first.
  void encode(const ResolvedRequest& request, const Stages& stages, std::span<Executable* const> programs,
              bool remember, const CheckCancelled& check);

  // The features of a text of the last call of encode().
  const TextFeatures& features(int encoder, const std::string& text, int skip) const;

  // The cached features of earlier requests' texts, at most kMostRemembered.
  size_t bytes_of_others() const { return bytes_of_others_; }
  static constexpr size_t kMostRemembered = size_t{16} << 20;

 private:
  // Features depend on the revision of an encoder's parameters, and on the embeddings of the words in the text.
  using Key = std::tuple<int, uint64_t, std::string, uint64_t, int>;  // encoder, revision, text, words, skip
  struct Known {
    TextFeatures features;
    uint64_t used = 0;  // the last call of encode() that needed it
    size_t bytes() const { return (features.hidden.size() + features.pooled.size()) * sizeof(float); }
  };

  Key key(int encoder, const std::string& text, int skip) const;
  void encode_with(int encoder, const std::vector<std::string>& texts, const std::vector<int>& skips,
                   Executable& executable, const CheckCancelled& check);
  std::vector<std::string> unknown_texts(int encoder, const ResolvedRequest& request, const std::vector<int>& skips);
  void forget_others(size_t most_bytes);
  void warn_of_truncation(const ResolvedRequest& request, const std::set<std::pair<int, std::string>>& encoded) const;
  void warn_of_unused_words(const ResolvedRequest& request) const;

  const ModelSource& source_;
  LogSink log_;
  std::vector<PromptTokenizer> tokenizers_;  // by encoder; with the words of the last call of encode()
  std::map<Key, Known> known_;
  uint64_t calls_ = 0;
  size_t bytes_of_others_ = 0;
};

}  // namespace tempera
