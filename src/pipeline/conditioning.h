// What the text encoders and the sizes tell the UNet, exactly as StableDiffusionXLPipeline assembles it.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/config.h"
#include "pipeline/resolve.h"

namespace tempera {

// One text through one encoder.
struct TextFeatures {
  std::vector<float> hidden;  // (T, C): the hidden state that was asked for
  std::vector<float> pooled;  // (P), second encoder only
};

// The hidden states wanted of each text encoder: 0 for the penultimate, and the one that clip_skip names.
std::vector<int> text_skips(const Request& request);

// Texts to encode by one encoder, each once: what the plan counts.
size_t distinct_texts(const ResolvedRequest& request, int encoder);

// A prompt through both encoders: their states side by side per token, and the pooled vector of the second.
struct PromptRow {
  std::vector<float> hidden;  // (T, X)
  std::vector<float> pooled;  // (P)
};

struct PromptEmbeddings {
  PromptRow positive;
  std::optional<PromptRow> negative = {};  // absent: no guidance, or not known
};

// encode(encoder, text, skip) gives the features of a text. The negative prompt's are there with guidance.
using EncodeText = std::function<const TextFeatures&(int encoder, const std::string& text, int skip)>;
PromptEmbeddings make_embeddings(const ResolvedRequest& request, const ModelConfig& model, const EncodeText& encode);

// What stands in for a negative prompt that nobody gave, in models that want that.
PromptRow zeros_like(const PromptRow& row);

struct Picture;  // pipeline/picture.h

// Rows of a batch: [negative of the pictures with guidance..., positive of all pictures...].
struct Conditioning {
  std::vector<float> encoder_hidden_states;  // (N, T, X)
  std::vector<float> text_embeds;            // (N, P)
  std::vector<float> time_ids;               // (N, 6): original height, width, crop top, left, target height, width
};

// Pictures with guidance have a negative row.
Conditioning make_conditioning(std::span<const Picture* const> pictures);

}  // namespace tempera
