// Prompt embeddings in a safetensors file, named as diffusers' arguments: what Pipeline::encode writes, and what other
// programs may have written.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "models/config.h"
#include "pipeline/conditioning.h"
#include "tempera/request.h"

namespace tempera {

struct EmbeddingsFile {
  PromptEmbeddings embeddings;
  int tokens = 0;  // T
  // What the file says it was made from; empty where it says nothing.
  std::string prompt = {};
  std::optional<std::string> prompt_2 = {}, negative_prompt = {}, negative_prompt_2 = {};
  std::optional<int> clip_skip = {};
};

// prompt_embeds (1, T, X) and pooled_prompt_embeds (1, P) in f32, f16 or bf16, the leading 1 optional, and the same
// with "negative_" or neither. Throws Error(bad_file) naming the file, the tensor and the remedy: one is missing, of
// another model's shape, for several prompts, or holds a value that is no number.
EmbeddingsFile read_embeddings(const std::filesystem::path& path, const ModelConfig& model);

// The embeddings that a request names instead of prompts, with a negative row where it has guidance. The request learns
// from which texts they were made, for the metadata of its pictures. Throws as read_embeddings does, and
// Error(bad_file) when guidance needs a negative row that is not there.
EmbeddingsFile read_embeddings_for(ResolvedRequest& request, const ModelConfig& model);

// In f32, with the prompts of `request` as metadata. The file appears whole or not at all. Throws Error(io).
void write_embeddings(const std::filesystem::path& path, const PromptEmbeddings& embeddings, int tokens,
                      const Request& request);

// Before any work is done for it. Throws Error(invalid_argument) unless `path` ends in .safetensors and its folder is
// there.
void check_embeddings_path(const std::filesystem::path& path);

// Width of the pooled text vector that the UNet takes.
int pooled_width(const ModelConfig& model);

}  // namespace tempera
