#include "pipeline/text_stage.h"

#include <numeric>
#include <set>

#include "base/error.h"
#include "text/clip_vocabulary.h"

namespace tempera {
namespace {

constexpr std::string_view kEncoders[] = {"text_encoder", "text_encoder_2"};

// The beginning of a text for a message.
std::string excerpt(const std::string& text) {
  constexpr size_t kMost = 80;
  if (text.size() <= kMost) return text;
  size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // whole characters
  return text.substr(0, end) + " ...";
}

const ClipConfig& clip_of(const ModelConfig& model, int encoder) {
  return encoder == 1 ? model.text_encoder_2 : model.text_encoder.value();
}

Tokenizer open_tokenizer(const std::filesystem::path& folder, const ModelSource& source, int encoder) {
  const bool built_in = folder.empty() && source.layout == ModelSource::Layout::single_file;
  if (folder.empty() && !built_in)
    fail(ErrorCode::invalid_argument,
         "'{}' has no folder tokenizer{}: add it, or give {} a folder that has vocab.json and merges.txt, or "
         "tokenizer.json",
         source.path.string(), encoder == 1 ? "_2" : "", FieldName{"tokenizer"});
  const ClipConfig& clip = clip_of(source.config, encoder);
  // The padding of folders is as stated, except that of one folder for two encoders.
  const Padding own = encoder == 1 ? Padding::second : Padding::first;
  const bool shared = source.config.text_encoder && source.tokenizer == source.tokenizer_2;
  Tokenizer tokenizer =
      built_in ? Tokenizer(clip_vocabulary(own)) : Tokenizer::from_folder(folder, shared ? own : Padding::as_stated);
  const std::string what =
      built_in ? "the built-in vocabulary of CLIP" : fmt::format("the vocabulary in '{}'", folder.string());
  if (tokenizer.vocabulary_size() > clip.vocab_size)
    fail(ErrorCode::bad_file, "{} has {} tokens, the text encoder only {}: give {} the model's own", what,
         tokenizer.vocabulary_size(), clip.vocab_size, FieldName{"tokenizer"});
  if (tokenizer.max_length() > clip.max_position_embeddings)
    fail(ErrorCode::bad_file, "{} pads to {} tokens, the text encoder has {} positions: give {} the model's own", what,
         tokenizer.max_length(), clip.max_position_embeddings, FieldName{"tokenizer"});
  return tokenizer;
}

}  // namespace

TextStage::TextStage(const ModelSource& source, LogSink log) : source_(source), log_(std::move(log)) {
  // The refiner has the second encoder only.
  const int first = source.config.text_encoder ? 0 : 1;
  Tokenizer one = open_tokenizer(first == 0 ? source.tokenizer : source.tokenizer_2, source, first);
  Tokenizer two = open_tokenizer(source.tokenizer_2, source, 1);
  two.share_vocabulary(one);
  if (one.max_length() != two.max_length())
    fail(ErrorCode::bad_file, "the two tokenizers of '{}' pad to {} and {} tokens: they must agree",
         source.path.string(), one.max_length(), two.max_length());
  tokenizers_.emplace_back(std::move(one), clip_of(source.config, first), static_cast<size_t>(first));
  tokenizers_.emplace_back(std::move(two), clip_of(source.config, 1), size_t{1});
}

TextStage::Key TextStage::key(int encoder, const std::string& text, int skip) const {
  return {encoder, source_.component(kEncoders[encoder]).weights->revision(), text,
          tokenizers_[static_cast<size_t>(encoder)].identity(text), skip};
}

std::vector<std::string> TextStage::unknown_texts(int encoder, const ResolvedRequest& r,
                                                  const std::vector<int>& skips) {
  std::set<std::string> texts = texts_of(r, encoder);
  std::erase_if(texts, [&](const std::string& text) {
    bool all = true;
    for (const int skip : skips) {
      const auto at = known_.find(key(encoder, text, skip));
      all = all && at != known_.end();
      if (at != known_.end()) at->second.used = calls_;
    }
    return all;
  });
  return {texts.begin(), texts.end()};
}

void TextStage::encode(const ResolvedRequest& r, const Stages& stages, std::span<Executable* const> programs,
                       bool remember, const CheckCancelled& check) {
  ++calls_;
  for (PromptTokenizer& tokenizer : tokenizers_) tokenizer.set_words(r.words);
  warn_of_unused_words(r);
  const std::vector<int> skips = text_skips(r.request);
  for (const int encoder : {0, 1})
    if (encoder == 1 || source_.config.text_encoder) unknown_texts(encoder, r, skips);  // marks the cached ones as used
  forget_others(remember ? kMostRemembered : 0);
  std::set<std::pair<int, std::string>> encoded;
  size_t i = 0;
  for (const StageSpec& stage : stages.list) {
    if (stage.role != Role::text) continue;
    Executable& executable = *programs[i++];
    const int encoder = stage.component.name == kEncoders[1] ? 1 : 0;
    const std::vector<std::string> texts = unknown_texts(encoder, r, skips);
    if (texts.empty()) continue;
    for (const std::string& text : texts) encoded.emplace(encoder, text);
    executable.load(check);
    encode_with(encoder, texts, skips, executable, check);
    executable.leave();
  }
  warn_of_truncation(r, encoded);
}

// One warning for each text that is too long, although both encoders read it. Texts whose features were cached caused
// the warning before.
void TextStage::warn_of_truncation(const ResolvedRequest& r,
                                   const std::set<std::pair<int, std::string>>& encoded) const {
  if (!log_) return;
  const auto warn = [&](std::string_view name, int encoder, const std::string& text) {
    if (!encoded.contains({encoder, text})) return;
    const Tokenizer& tokenizer = tokenizers_[static_cast<size_t>(encoder)].tokenizer();
    const Tokenizer::Encoding encoding = tokenizer.encode(text);
    if (encoding.truncated_tokens == 0) return;
    log_(LogLevel::warning,
         fmt::format("the {} is {} tokens too long: the text encoders read {} tokens and do not see '{}'", name,
                     encoding.truncated_tokens, tokenizer.max_length(), excerpt(encoding.truncated)));
  };
  const int first = source_.config.text_encoder ? 0 : 1;  // the refiner has only the second
  const auto warn_of_both = [&](std::string_view name, std::string_view name_2, const std::string(&texts)[2]) {
    warn(name, first, texts[first]);
    if (texts[1] != texts[first]) warn(name_2, 1, texts[1]);
  };
  warn_of_both("prompt", "prompt_2", r.prompts.positive);
  if (r.encodes_negative()) warn_of_both("negative prompt", "negative_prompt_2", r.prompts.negative);
}

// Words that no text has change no picture, which is often a mistake of spelling.
void TextStage::warn_of_unused_words(const ResolvedRequest& r) const {
  if (!log_ || r.words.empty()) return;
  std::set<std::string> used;
  for (const size_t encoder : {0, 1})
    for (const std::string* text : {&r.prompts.positive[encoder], &r.prompts.negative[encoder]})
      used.merge(tokenizers_[encoder].inputs(*text).used);
  for (const WordEmbedding& word : r.words)
    if (!used.contains(word.word))
      log_(LogLevel::warning, fmt::format("the word '{}' of an embedding is in no prompt", word.word));
}

void TextStage::forget_others(size_t most_bytes) {
  while (true) {
    bytes_of_others_ = 0;
    auto oldest = known_.end();
    for (auto at = known_.begin(); at != known_.end(); ++at) {
      if (at->second.used == calls_) continue;
      bytes_of_others_ += at->second.bytes();
      if (oldest == known_.end() || at->second.used < oldest->second.used) oldest = at;
    }
    if (bytes_of_others_ <= most_bytes) return;
    known_.erase(oldest);
  }
}

void TextStage::encode_with(int encoder, const std::vector<std::string>& texts, const std::vector<int>& skips,
                            Executable& executable, const CheckCancelled& check) {
  std::vector<int32_t> positions(static_cast<size_t>(tokens()));
  std::iota(positions.begin(), positions.end(), 0);
  for (const std::string& text : texts) {
    const PromptTokenizer::Inputs inputs = tokenizers_[static_cast<size_t>(encoder)].inputs(text);
    executable.write_input("ids", DType::i32, std::as_bytes(std::span(inputs.ids)));
    executable.write_input("positions", DType::i32, std::as_bytes(std::span(positions)));
    if (!inputs.extra.empty()) executable.write_input("extra", DType::f32, std::as_bytes(std::span(inputs.extra)));
    if (encoder == 1) executable.write_input("eos", DType::i32, std::as_bytes(std::span(&inputs.pooled, 1)));
    executable.run(check);
    for (const int skip : skips) {
      TextFeatures features;
      features.hidden = executable.read_output(fmt::format("hidden.{}", skip));
      if (encoder == 1) features.pooled = executable.read_output("pooled");
      known_.insert_or_assign(key(encoder, text, skip), Known{std::move(features), calls_});
    }
  }
}

const TextFeatures& TextStage::features(int encoder, const std::string& text, int skip) const {
  return known_.at(key(encoder, text, skip)).features;
}

}  // namespace tempera
