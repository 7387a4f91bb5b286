// CLIP's tokenizer: from a prompt to the token ids of transformers' CLIPTokenizer (5.x) with padding="max_length",
// truncation=True.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/bpe.h"
#include "text/tokenizer_files.h"

namespace tempera {

class Tokenizer {
 public:
  // A folder with tokenizer.json, or vocab.json and merges.txt, and their related files. Throws Error(bad_file): see
  // read_tokenizer_folder and parse_tokenizer_files.
  static Tokenizer from_folder(const std::filesystem::path& folder, Padding padding = Padding::as_stated);
  explicit Tokenizer(TokenizerFiles files);

  // A word of textual inversion, which stands for one or more vectors.
  struct Word {
    std::string text;
    int vectors = 1;
  };
  // A copy that also recognises these words wherever they are in a text, in any case of letters. Their ids begin at
  // `first_id`, in the order of the words, one for each vector. The i-th vector alone is "word_i", the first is 0. The
  // rules are those of diffusers' load_textual_inversion and maybe_convert_prompt, except that diffusers reads a word
  // in other letters than it was given as its first vector. Throws Error(invalid_argument) for an empty word, for one
  // that is a token of the vocabulary, and for one that is given twice.
  Tokenizer with_words(std::span<const Word> words, int32_t first_id) const;

  // Shares the vocabulary of the other tokenizer if they are equal, as in SDXL. This saves 3 MB.
  void share_vocabulary(const Tokenizer& other);

  struct Encoding {
    std::vector<int32_t> ids;  // max_length() of them: BOS, text, EOS, padding
    int tokens = 0;            // without the padding
    int eos_index = 0;         // of the EOS that ends the text: tokens - 1
    std::string truncated;     // the text that did not fit; empty if all of it did
    int truncated_tokens = 0;  // and the number of its tokens
  };
  // Accepts any bytes. Invalid UTF-8 becomes U+FFFD.
  Encoding encode(std::string_view text) const;

  int max_length() const { return files_.max_length; }        // BOS and EOS included: 77 for SDXL
  int vocabulary_size() const { return files_.bpe->size(); }  // ids are smaller: the embedding must have so many rows
  int32_t bos() const { return files_.bos; }
  int32_t eos() const { return files_.eos; }
  int32_t pad() const { return files_.pad; }

 private:
  // Appends the ids of `text`. Added tokens are recognised in it: first those that are matched in the raw text, then,
  // in the normalised rest, the others.
  void append_text(std::string_view text, bool normalised, std::vector<int32_t>& ids) const;
  void append_words(std::string_view text, std::vector<int32_t>& ids) const;
  const AddedToken* added_token_at(std::string_view text, size_t at, bool normalised) const;
  std::string decode(std::span<const int32_t> ids) const;

  TokenizerFiles files_;
  // Indices of the added tokens by whether they are normalised and by first byte, the longest first.
  std::array<std::array<std::vector<uint16_t>, 256>, 2> added_by_byte_;
};

// The position of the pooled text embedding, from the text encoder's eos_token_id (transformers CLIPTextTransformer):
// the first eos_token_id, or the first position if there is none. Configurations with eos_token_id 2 are older than
// that rule. For them it is the position of the largest id, the first of equals.
int pooled_index(std::span<const int32_t> ids, int64_t eos_token_id);

}  // namespace tempera
