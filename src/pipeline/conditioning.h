// The inputs of the UNet from text encoders and sizes, in the exact form of StableDiffusionXLPipeline.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "models/config.h"
#include "pipeline/resolve.h"

namespace tempera {

// One text through one encoder.
struct TextFeatures {
  std::vector<float> hidden;  // (T, C): the requested hidden state
  std::vector<float> pooled;  // (P), second encoder only
};

// The requested hidden states of each text encoder: 0 for the penultimate, and that of clip_skip.
std::vector<int> text_skips(const Request& request);

// The distinct texts of the request for one encoder (0 or 1).
std::set<std::string> texts_of(const ResolvedRequest& request, int encoder);

// A prompt through both encoders: their states concatenated per token, and the pooled vector of the second.
struct PromptRow {
  std::vector<float> hidden;  // (T, X)
  std::vector<float> pooled;  // (P)
};

struct PromptEmbeddings {
  PromptRow positive;
  std::optional<PromptRow> negative = {};  // absent: no guidance, or not known
};

// encode(encoder, text, skip) returns the features of a text. The result is for the loops with the UNet of `model`:
// the request's model or its refiner. If one of them has guidance, it has those of the negative prompt.
using EncodeText = std::function<const TextFeatures&(int encoder, const std::string& text, int skip)>;
PromptEmbeddings make_embeddings(const ResolvedRequest& request, const ModelConfig& model, bool refiner,
                                 const EncodeText& encode);

// The embeddings that replace an absent negative prompt, for models that need this.
PromptRow zeros_like(const PromptRow& row);
bool is_zero(const PromptRow& row);

// The part of a model's embeddings that its refiner reads: the features of the second text encoder.
PromptEmbeddings second_encoder_of(const PromptEmbeddings& embeddings, const ModelConfig& model);

struct Picture;  // pipeline/picture.h

// Rows of a batch: [negative of the pictures with guidance..., positive of all pictures...].
struct Conditioning {
  std::vector<float> encoder_hidden_states;  // (N, T, X)
  std::vector<float> text_embeds;            // (N, P)
  // (N, 6): original height, width, crop top, left, target height, width; of a refiner (N, 5): the aesthetic score
  // instead of the target size.
  std::vector<float> time_ids;
  std::vector<float> guidance;  // (N, 1), for UNets that embed it: (guidance scale - 1) 1000
};

// Pictures with guidance have a negative row. aesthetic: the UNet reads the score (ModelConfig).
Conditioning make_conditioning(std::span<const Picture* const> pictures, bool aesthetic);

}  // namespace tempera
