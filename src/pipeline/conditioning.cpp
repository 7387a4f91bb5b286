#include "pipeline/conditioning.h"

#include <set>

#include "base/error.h"
#include "pipeline/picture.h"

namespace tempera {
namespace {

PromptRow encode_row(const std::string texts[2], int skip, const ModelConfig& model, const EncodeText& encode) {
  const TextFeatures& second = encode(1, texts[1], skip);
  if (!model.text_encoder) return {second.hidden, second.pooled};
  const TextFeatures& first = encode(0, texts[0], skip);
  const auto c1 = static_cast<size_t>(model.text_encoder->hidden_size),
             c2 = static_cast<size_t>(model.text_encoder_2.hidden_size);
  const size_t tokens = first.hidden.size() / c1;
  TEMPERA_ASSERT(second.hidden.size() == tokens * c2);
  PromptRow row{{}, second.pooled};
  row.hidden.reserve(tokens * (c1 + c2));
  for (size_t t = 0; t < tokens; ++t) {
    row.hidden.insert(row.hidden.end(), &first.hidden[t * c1], &first.hidden[t * c1] + c1);
    row.hidden.insert(row.hidden.end(), &second.hidden[t * c2], &second.hidden[t * c2] + c2);
  }
  return row;
}

std::vector<float> time_ids(const Request& r) {
  const auto f = [](int v) { return static_cast<float>(v); };
  const auto &o = *r.original_size, &t = *r.target_size, &c = r.crops_coords_top_left;
  return {f(o[1]), f(o[0]), f(c[1]), f(c[0]), f(t[1]), f(t[0])};
}

}  // namespace

std::vector<int> text_skips(const Request& r) {
  std::vector<int> skips = {0};
  if (r.clip_skip.value_or(0) != 0) skips.push_back(*r.clip_skip);
  return skips;
}

size_t distinct_texts(const ResolvedRequest& r, int encoder) {
  std::set<std::string> texts = {r.prompts.positive[encoder]};
  if (r.guidance && !r.prompts.zero_negative) texts.insert(r.prompts.negative[encoder]);
  return texts.size();
}

PromptRow zeros_like(const PromptRow& row) {
  return {std::vector<float>(row.hidden.size()), std::vector<float>(row.pooled.size())};
}

PromptEmbeddings make_embeddings(const ResolvedRequest& r, const ModelConfig& model, const EncodeText& encode) {
  PromptEmbeddings embeddings{encode_row(r.prompts.positive, r.request.clip_skip.value_or(0), model, encode)};
  if (!r.guidance) return embeddings;
  // clip_skip is for the positive prompt alone.
  embeddings.negative =
      r.prompts.zero_negative ? zeros_like(embeddings.positive) : encode_row(r.prompts.negative, 0, model, encode);
  return embeddings;
}

Conditioning make_conditioning(std::span<const Picture* const> pictures) {
  Conditioning c;
  const auto append = [&](const Picture& picture, const PromptRow& row) {
    const std::vector<float> ids = time_ids(picture.request->request);
    c.encoder_hidden_states.insert(c.encoder_hidden_states.end(), row.hidden.begin(), row.hidden.end());
    c.text_embeds.insert(c.text_embeds.end(), row.pooled.begin(), row.pooled.end());
    c.time_ids.insert(c.time_ids.end(), ids.begin(), ids.end());
    c.guidance.push_back(static_cast<float>((*picture.request->request.guidance_scale - 1) * 1000));
  };
  for (const Picture* picture : pictures)
    if (picture->guided()) append(*picture, picture->embeddings->negative.value());
  for (const Picture* picture : pictures) append(*picture, picture->embeddings->positive);
  return c;
}

}  // namespace tempera
