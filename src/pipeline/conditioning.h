// What the text encoders and the sizes tell the UNet, exactly as StableDiffusionXLPipeline assembles it.
#pragma once

#include <functional>
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

// Rows are [negative..., positive...] with guidance, else the positive ones, `images` times each.
struct Conditioning {
  std::vector<float> encoder_hidden_states;  // (N, T, X)
  std::vector<float> text_embeds;            // (N, P)
  std::vector<float> time_ids;               // (N, 6): original height, width, crop top, left, target height, width
};

// encode(encoder, text, skip) gives the features of a text.
using EncodeText = std::function<const TextFeatures&(int encoder, const std::string& text, int skip)>;
Conditioning make_conditioning(const ResolvedRequest& request, const ModelConfig& model, int images,
                               const EncodeText& encode);

}  // namespace tempera
