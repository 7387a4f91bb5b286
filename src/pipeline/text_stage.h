// The text encoders: tokens in, features out, each text of each encoder computed once and remembered. An encoder's
// weights are loaded when a text needs them and released at once: the UNet wants the memory.
#pragma once

#include <list>
#include <map>
#include <tuple>

#include "pipeline/conditioning.h"
#include "pipeline/model_source.h"
#include "pipeline/programs.h"
#include "runtime/executable.h"
#include "text/tokenizer.h"

namespace tempera {

class TextStage {
 public:
  TextStage(const ModelSource& source, LogSink log);

  // T: what a prompt is padded to.
  int tokens() const { return tokenizers_[1].max_length(); }

  // Features of the texts of a request, those not known yet computed now. The references stay until the next call.
  void encode(const ResolvedRequest& request, const Programs& programs, Backend& backend, Queue& queue, Buffer& scratch,
              StepWatcher* watcher, const CheckCancelled& check);
  const TextFeatures& features(int encoder, const std::string& text, int skip) const;

 private:
  using Key = std::tuple<int, std::string, int>;  // encoder, text, skip

  void encode_with(int encoder, const std::vector<std::string>& texts, const std::vector<int>& skips,
                   Executable& executable);
  std::vector<std::string> unknown_texts(int encoder, const ResolvedRequest& request,
                                         const std::vector<int>& skips) const;

  const ModelSource& source_;
  LogSink log_;
  std::vector<Tokenizer> tokenizers_;  // by encoder
  std::map<Key, TextFeatures> known_;
};

}  // namespace tempera
