// The text encoders: tokens in, features out, each text of each encoder computed once and remembered. An encoder is
// loaded when a text needs it.
#pragma once

#include <list>
#include <map>
#include <tuple>

#include "pipeline/conditioning.h"
#include "source/model_source.h"
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
  void encode(const ResolvedRequest& request, const TextPrograms& programs, Backend& backend, Queue& queue,
              Buffer& scratch, StepWatcher* watcher, const CheckCancelled& check);
  void watch(StepWatcher* watcher);
  // Lets go of the scratch memory; what stays of the weights stays.
  void unbind();
  // Before others use the scratch memory.
  void leave();

  const TextFeatures& features(int encoder, const std::string& text, int skip) const;

 private:
  using Key = std::tuple<int, std::string, int>;  // encoder, text, skip

  Executable& load(int encoder, const Program& program, Backend& backend, Queue& queue, Buffer& scratch,
                   const CheckCancelled& check);
  void encode_with(int encoder, const std::vector<std::string>& texts, const std::vector<int>& skips,
                   Executable& executable);
  std::vector<std::string> unknown_texts(int encoder, const ResolvedRequest& request,
                                         const std::vector<int>& skips) const;

  const ModelSource& source_;
  LogSink log_;
  std::vector<Tokenizer> tokenizers_;  // by encoder
  std::map<Key, TextFeatures> known_;
  std::optional<Executable> executables_[2];
  LoadedWeights weights_[2];
};

}  // namespace tempera
