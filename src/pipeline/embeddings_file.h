// Prompt embeddings in a safetensors file, with the names of diffusers' arguments. Pipeline::encode writes such files,
// and other programs can write them too.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "models/config.h"
#include "pipeline/conditioning.h"
#include "tempera/request.h"

namespace tempera {

struct EmbeddingsFile {
  PromptEmbeddings embeddings;
  int tokens = 0;  // T
  // The prompts in the file's metadata; empty if it has none.
  std::string prompt = {};
  std::optional<std::string> prompt_2 = {}, negative_prompt = {}, negative_prompt_2 = {};
  std::optional<int> clip_skip = {};
  std::vector<std::string> textual_inversion = {};  // "NAME:WORD, NAME:WORD" as one text, for metadata
  std::vector<std::string> lora = {};               // those of the text encoders, as in a resolved request
};

// prompt_embeds (1, T, X) and pooled_prompt_embeds (1, P) in f32, f16 or bf16, where the leading 1 is optional. Both or
// none of the same with "negative_". Throws Error(bad_file) with the file, the tensor and the remedy when a tensor is
// missing, has the shape of another model, is for several prompts, or has a value that is not a number.
EmbeddingsFile read_embeddings(const std::filesystem::path& path, const ModelConfig& model);

// The embeddings that a request names instead of prompts, with a negative row if it has guidance. The prompts of the
// file's metadata are written into the request, for the metadata of its pictures. Throws as read_embeddings does, and
// Error(bad_file) when guidance needs a negative row that is not there.
EmbeddingsFile read_embeddings_for(ResolvedRequest& request, const ModelConfig& model);

// In f32, with the prompts of `request` as metadata. The file is written completely or not at all. Throws Error(io).
void write_embeddings(const std::filesystem::path& path, const PromptEmbeddings& embeddings, int tokens,
                      const Request& request);

// Checks a path before any work is done. Throws Error(invalid_argument) unless `path` ends in .safetensors and its
// folder exists.
void check_embeddings_path(const std::filesystem::path& path);

// Width of the pooled text vector for the UNet.
int pooled_width(const ModelConfig& model);

}  // namespace tempera
