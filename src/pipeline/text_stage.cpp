#include "pipeline/text_stage.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "base/error.h"

namespace tempera {
namespace {

constexpr size_t kMaxKnown = 256;  // texts; 0.9 MB each for SDXL

constexpr std::string_view kEncoders[] = {"text_encoder", "text_encoder_2"};

Tokenizer open_tokenizer(const std::filesystem::path& folder, const ModelSource& source, const ClipConfig& clip) {
  if (folder.empty())
    fail(ErrorCode::invalid_argument,
         "'{}' carries no vocabulary: give --tokenizer with a folder that holds vocab.json and merges.txt, or "
         "tokenizer.json",
         source.path.string());
  Tokenizer tokenizer = Tokenizer::from_folder(folder);
  if (tokenizer.vocabulary_size() > clip.vocab_size)
    fail(ErrorCode::bad_file,
         "the vocabulary in '{}' has {} tokens, the text encoder only {}: give --tokenizer with the model's own",
         folder.string(), tokenizer.vocabulary_size(), clip.vocab_size);
  if (tokenizer.max_length() > clip.max_position_embeddings)
    fail(ErrorCode::bad_file,
         "the tokenizer in '{}' gives {} tokens, the text encoder takes {}: give --tokenizer with the model's own",
         folder.string(), tokenizer.max_length(), clip.max_position_embeddings);
  return tokenizer;
}

}  // namespace

TextStage::TextStage(const ModelSource& source, LogSink log) : source_(source), log_(std::move(log)) {
  const ClipConfig& second = source.config.text_encoder_2;
  const ClipConfig& first = source.config.text_encoder.value_or(second);
  const std::filesystem::path& first_folder = source.config.text_encoder ? source.tokenizer : source.tokenizer_2;
  tokenizers_.push_back(open_tokenizer(first_folder, source, first));
  tokenizers_.push_back(open_tokenizer(source.tokenizer_2, source, second));
  tokenizers_[1].share_vocabulary(tokenizers_[0]);
  if (tokenizers_[0].max_length() != tokenizers_[1].max_length())
    fail(ErrorCode::bad_file, "the two tokenizers of '{}' pad to {} and {} tokens: they must agree",
         source.path.string(), tokenizers_[0].max_length(), tokenizers_[1].max_length());
}

std::vector<std::string> TextStage::unknown_texts(int encoder, const ResolvedRequest& r,
                                                  const std::vector<int>& skips) const {
  std::set<std::string> wanted = {r.prompts.positive[encoder]};
  if (r.guidance && !r.prompts.zero_negative) wanted.insert(r.prompts.negative[encoder]);
  std::erase_if(wanted, [&](const std::string& text) {
    return std::all_of(skips.begin(), skips.end(), [&](int skip) { return known_.contains({encoder, text, skip}); });
  });
  return {wanted.begin(), wanted.end()};
}

void TextStage::encode(const ResolvedRequest& r, const TextPrograms& programs, Backend& backend, Queue& queue,
                       Buffer& scratch, StepWatcher* watcher, const CheckCancelled& check) {
  const std::vector<int> skips = text_skips(r.request);
  if (known_.size() > kMaxKnown) known_.clear();
  for (const int encoder : {0, 1}) {
    const Program* program = encoder == 1 ? &programs.second : programs.first ? &*programs.first : nullptr;
    if (program == nullptr) continue;
    const std::vector<std::string> texts = unknown_texts(encoder, r, skips);
    if (texts.empty()) continue;
    Executable& executable = load(encoder, *program, backend, queue, scratch, check);
    executable.watch(watcher);
    encode_with(encoder, texts, skips, executable);
    executable.leave();
  }
}

// An executable that was bound for an equal program is kept.
Executable& TextStage::load(int encoder, const Program& program, Backend& backend, Queue& queue, Buffer& scratch,
                            const CheckCancelled& check) {
  std::optional<Executable>& executable = executables_[encoder];
  if (executable && executable->loaded() && executable->program() == program) return *executable;
  if (executable) weights_[encoder] = executable->weights();
  executable.reset();
  executable.emplace(program, backend, queue, scratch, std::exchange(weights_[encoder], {}));
  if (!executable->loaded()) executable->load(*source_.component(kEncoders[encoder]).weights, check);
  return *executable;
}

void TextStage::unbind() {
  for (const int encoder : {0, 1}) {
    if (executables_[encoder]) weights_[encoder] = executables_[encoder]->weights();
    executables_[encoder].reset();
  }
}

void TextStage::watch(StepWatcher* watcher) {
  for (std::optional<Executable>& executable : executables_)
    if (executable) executable->watch(watcher);
}

void TextStage::leave() {
  for (std::optional<Executable>& executable : executables_)
    if (executable) executable->leave();
}

void TextStage::encode_with(int encoder, const std::vector<std::string>& texts, const std::vector<int>& skips,
                            Executable& executable) {
  const Tokenizer& tokenizer = tokenizers_[static_cast<size_t>(encoder)];
  const ClipConfig& clip = encoder == 1 ? source_.config.text_encoder_2 : *source_.config.text_encoder;
  std::vector<int32_t> positions(static_cast<size_t>(tokenizer.max_length()));
  std::iota(positions.begin(), positions.end(), 0);
  for (const std::string& text : texts) {
    const Tokenizer::Encoding encoding = tokenizer.encode(text);
    if (!encoding.truncated.empty() && log_)
      log_(LogLevel::warning, fmt::format("the prompt is longer than {} tokens; text encoder {} does not see '{}'",
                                          tokenizer.max_length(), encoder + 1, encoding.truncated));
    executable.write_input("ids", DType::i32, std::as_bytes(std::span(encoding.ids)));
    executable.write_input("positions", DType::i32, std::as_bytes(std::span(positions)));
    if (encoder == 1) {
      const int32_t eos = pooled_index(encoding.ids, clip.eos_token_id);
      executable.write_input("eos", DType::i32, std::as_bytes(std::span(&eos, 1)));
    }
    executable.run();
    for (const int skip : skips) {
      TextFeatures features;
      features.hidden = executable.read_output(fmt::format("hidden.{}", skip));
      if (encoder == 1) features.pooled = executable.read_output("pooled");
      known_.insert_or_assign({encoder, text, skip}, std::move(features));
    }
  }
}

const TextFeatures& TextStage::features(int encoder, const std::string& text, int skip) const {
  return known_.at({encoder, text, skip});
}

}  // namespace tempera
