// What the files of a diffusers `tokenizer` folder say, checked and in one form whichever of the two layouts they have:
// tokenizer.json, or vocab.json with merges.txt. The rules of precedence are those of transformers 5.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "text/bpe.h"

namespace tempera {

// The texts of the files, those that exist; `folder` names them in errors.
struct TokenizerTexts {
  std::string folder;
  std::optional<std::string> tokenizer;           // tokenizer.json: preferred to the next two
  std::optional<std::string> vocabulary, merges;  // vocab.json, merges.txt
  std::optional<std::string> config;              // tokenizer_config.json
  std::optional<std::string> special_tokens;      // special_tokens_map.json
  std::optional<std::string> added_tokens;        // added_tokens.json
};

// A token that is recognised inside the text, before it is cut into words.
struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool single_word = false;  // only where no word character touches it
  bool normalised = false;   // `content` was normalised, and is looked for in normalised text
};

struct TokenizerFiles {
  std::shared_ptr<Bpe> bpe;
  std::vector<AddedToken> added;
  int32_t bos, eos, pad, unknown;
  int max_length;  // BOS and EOS included
};

// Throws Error(bad_file) naming the folder when it is missing or lacks the files of both layouts, or a file is
// unreadable.
TokenizerTexts read_tokenizer_folder(const std::filesystem::path& folder);

// Throws Error(bad_file) naming the file and what is wrong with it: see Bpe, and a special token that the vocabulary
// lacks, a model other than BPE with "</w>", a nonsensical model_max_length.
TokenizerFiles parse_tokenizer_files(const TokenizerTexts& texts);

}  // namespace tempera
