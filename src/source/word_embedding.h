// Embeddings of words (textual inversion, Gal et al. 2022): vectors that the text encoders read in place of those of
// their vocabulary. They are data of a request and not parameters, so another word packs nothing again.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "models/config.h"
#include "tempera/request.h"
#include "weights/checkpoint.h"

namespace tempera {

struct WordEmbedding {
  std::string word;  // as given
  // By text encoder: K vectors, (K, C) row-major, C the encoder's width. Empty: this encoder reads the word as text.
  std::array<std::vector<float>, 2> vectors;
  std::array<int, 2> count = {0, 0};  // K
  std::filesystem::path file = {};    // of its own; empty for a word that is in a LoRA
  uint64_t identity = 0;              // differs for other words or vectors
};

// The embedding in the tensors whose names begin with `prefix`: "" in a file of its own, "bundle_emb.WORD." in a LoRA.
// After the prefix, names are one of these:
//   - "clip_l", "clip_g" or one of them: (K, C) or (C), for the first and the second encoder; or "text_encoders_0" and
//     "text_encoders_1", the older names of diffusers' training scripts
//   - "emb_params" or "string_to_param.*" (A1111), or one tensor of any name (diffusers): (K, C) or (C), for the
//   encoder
//     with this width. If both have it, both read it
// Elements are f32, f16 or bf16. `what` names the source in messages. Throws Error(bad_file) that names the tensor:
// another tensor, a width of another model, no vectors, more vectors than a prompt has tokens, a value that is not
// finite, another type.
WordEmbedding read_word_embedding(const Checkpoint& tensors, std::string_view what, std::string_view prefix,
                                  std::string word, const ModelConfig& model);

// The embeddings of Request::textual_inversion. Files are opened each time, because they are small and may have
// changed. Throws as locate, open_tensor_file and read_word_embedding do, and Error(bad_file) for a file of another
// kind.
std::vector<WordEmbedding> open_words(const EngineOptions& engine, const Request& request, const ModelConfig& model);

}  // namespace tempera
