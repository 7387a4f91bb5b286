#include "text/clip_vocabulary.h"

#include <cstdint>
#include <string>
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

}  // namespace

TokenizerFiles clip_vocabulary(Padding padding) {
  std::vector<std::string> tokens = byte_symbols();
  const size_t bytes = tokens.size();
  tokens.reserve(2 * bytes + kMerges);  // the views of merges refer to the tokens
  for (size_t i = 0; i < bytes; ++i) tokens.push_back(tokens[i] + "</w>");
  std::vector<std::pair<std::string_view, std::string_view>> merges;
  merges.reserve(kMerges);
  for (size_t i = 0; i < kMerges; ++i) {
    const unsigned char* at = tempera_clip_merges + 4 * i;
    const std::string& left = tokens[at[0] | (at[1] << 8)];
    const std::string& right = tokens[at[2] | (at[3] << 8)];
    merges.emplace_back(left, right);
    tokens.push_back(left + right);
  }
  std::vector<std::pair<std::string, int64_t>> vocabulary;
  vocabulary.reserve(tokens.size() + 2);
  for (const std::string& token : tokens) vocabulary.emplace_back(token, vocabulary.size());
  for (const char* token : {"<|startoftext|>", "<|endoftext|>"}) vocabulary.emplace_back(token, vocabulary.size());
  return with_usual_tokens(Bpe(std::move(vocabulary), merges, kName), padding, kName);
}

}  // namespace tempera
