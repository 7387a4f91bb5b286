#include "text/clip_vocabulary.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Two uint16 (little endian) for each merge. The compiler's assembler reads the file, so there is no generated source.
asm(".section .rodata\n"
    ".balign 4\n"
    "tempera_clip_merges:\n"
    ".incbin \"" TEMPERA_CLIP_MERGES
    "\"\n"
    ".hidden tempera_clip_merges\n"
    ".globl tempera_clip_merges\n"
    ".previous\n");
extern "C" {
extern const unsigned char tempera_clip_merges[] __attribute__((visibility("hidden")));
}

namespace tempera {
namespace {

constexpr size_t kMerges = 48894;
constexpr const char* kName = "the built-in vocabulary of CLIP";

// The tokens by id, without the special ones, and the ids of the pairs that merge.
struct Tokens {
  std::vector<std::string> tokens = byte_symbols();
  std::vector<std::pair<size_t, size_t>> merges = {};

  Tokens() {
    const size_t bytes = tokens.size();
    tokens.reserve(2 * bytes + kMerges);
    for (size_t i = 0; i < bytes; ++i) tokens.push_back(tokens[i] + "</w>");
    merges.reserve(kMerges);
    for (size_t i = 0; i < kMerges; ++i) {
      const unsigned char* at = tempera_clip_merges + 4 * i;
      const auto [left, right] = merges.emplace_back(at[0] | (at[1] << 8), at[2] | (at[3] << 8));
      tokens.push_back(tokens[left] + tokens[right]);
    }
  }
};

constexpr std::array kSpecialTokens = {"<|startoftext|>", "<|endoftext|>"};

}  // namespace

TokenizerFiles clip_vocabulary(Padding padding) {
  const Tokens clip;
  std::vector<std::pair<std::string_view, std::string_view>> merges;
  merges.reserve(kMerges);
  for (const auto& [left, right] : clip.merges) merges.emplace_back(clip.tokens[left], clip.tokens[right]);
  std::vector<std::pair<std::string, int64_t>> vocabulary;
  vocabulary.reserve(clip.tokens.size() + kSpecialTokens.size());
  for (const std::string& token : clip.tokens) vocabulary.emplace_back(token, vocabulary.size());
  for (const char* token : kSpecialTokens) vocabulary.emplace_back(token, vocabulary.size());
  return with_usual_tokens(Bpe(std::move(vocabulary), merges, kName), padding, kName);
}

TokenizerTexts clip_vocabulary_texts(Padding padding) {
  const Tokens clip;
  std::string vocabulary = "{";
  size_t id = 0;
  const auto add = [&](std::string_view token) {
    if (id > 0) vocabulary += ", ";
    vocabulary += '"';
    for (const char c : token) {
      if (c == '"' || c == '\\') vocabulary += '\\';
      vocabulary += c;
    }
    vocabulary += "\": " + std::to_string(id++);
  };
  for (const std::string& token : clip.tokens) add(token);
  for (const char* token : kSpecialTokens) add(token);
  std::string merges = "#version: 0.2\n";
  for (const auto& [left, right] : clip.merges) merges += clip.tokens[left] + " " + clip.tokens[right] + "\n";
  TokenizerTexts texts;
  texts.folder = kName;
  texts.vocabulary = vocabulary + "}\n";
  texts.merges = std::move(merges);
  texts.config = std::string(R"({"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, )"
                             R"("bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", )"
                             R"("unk_token": "<|endoftext|>", "pad_token": ")") +
                 (padding == Padding::second ? "!" : "<|endoftext|>") + "\"}\n";
  return texts;
}

}  // namespace tempera
