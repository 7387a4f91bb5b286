// The contents of a diffusers `tokenizer` folder, checked and in one form for both layouts: tokenizer.json, or
// vocab.json with merges.txt. The rules of precedence are those of transformers 5.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "text/bpe.h"

namespace tempera {

// The texts of the files that exist. `folder` names them in errors.
struct TokenizerTexts {
  std::string folder;
  std::optional<std::string> tokenizer;           // tokenizer.json: preferred to the next two
  std::optional<std::string> vocabulary, merges;  // vocab.json, merges.txt
  std::optional<std::string> config;              // tokenizer_config.json
  std::optional<std::string> special_tokens;      // special_tokens_map.json
  std::optional<std::string> added_tokens;        // added_tokens.json
};

// A token that is recognised inside the text, before the text is divided into words.
struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool single_word = false;  // only if there is no word character next to it
  bool normalised = false;   // `content` was normalised, and is matched in normalised text
  int32_t count = 1;         // it stands for so many ids: id, id + 1, ...
};

struct TokenizerFiles {
  std::shared_ptr<Bpe> bpe;
  std::vector<AddedToken> added;
  int32_t bos, eos, pad, unknown;
  int max_length;  // BOS and EOS included
};

// The padding of one encoder. SDXL's two encoders share a vocabulary, but the first pads with <|endoftext|>, the second
// with "!" (id 0), which is then also recognised inside the text.
enum class Padding : uint8_t {
  as_stated,  // that of the files; <|endoftext|> if they name none
  first,      // if the files say "!": <|endoftext|>, else as stated
  second,     // if the files say <|endoftext|> or name none, and the vocabulary has "!": that, else as stated
};

// Throws Error(bad_file) with the folder when it is missing or has the files of neither layout, or when a file is
// unreadable.
TokenizerTexts read_tokenizer_folder(const std::filesystem::path& folder);

// Throws Error(bad_file) with the file and the error: see Bpe; also a special token that is not in the vocabulary, a
// model other than BPE with "</w>", or an invalid model_max_length.
TokenizerFiles parse_tokenizer_files(const TokenizerTexts& texts, Padding padding = Padding::as_stated);

// A vocabulary without files: the usual special tokens of CLIP, prompts of 77 tokens. `what` names it in errors.
TokenizerFiles with_usual_tokens(Bpe bpe, Padding padding, const std::string& what);

}  // namespace tempera
