#include "pipeline/conditioning.h"

#include <algorithm>

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

std::vector<float> time_ids(const Picture& picture, bool negative, bool aesthetic) {
  const Request& r = picture.request->request;
  const auto f = [](int v) { return static_cast<float>(v); };
  const std::array<int, 2> size{picture.loop->width, picture.loop->height};
  const std::array<int, 2> o = r.original_size.value_or(size), t = r.target_size.value_or(size);
  const auto& c = r.crops_coords_top_left;
  std::vector<float> ids = {f(o[1]), f(o[0]), f(c[1]), f(c[0])};
  if (aesthetic)
    ids.push_back(static_cast<float>(negative ? r.negative_aesthetic_score : r.aesthetic_score));
  else
    ids.insert(ids.end(), {f(t[1]), f(t[0])});
  return ids;
}

}  // namespace

std::vector<int> text_skips(const Request& r) {
  std::vector<int> skips = {0};
  if (r.clip_skip.value_or(0) != 0) skips.push_back(*r.clip_skip);
  return skips;
}

std::set<std::string> texts_of(const ResolvedRequest& r, int encoder) {
  std::set<std::string> texts = {r.prompts.positive[encoder]};
  if (r.encodes_negative()) texts.insert(r.prompts.negative[encoder]);
  return texts;
}

PromptRow zeros_like(const PromptRow& row) {
  return {std::vector<float>(row.hidden.size()), std::vector<float>(row.pooled.size())};
}

bool is_zero(const PromptRow& row) {
  const auto zero = [](float value) { return value == 0; };
  return std::ranges::all_of(row.hidden, zero) && std::ranges::all_of(row.pooled, zero);
}

PromptEmbeddings make_embeddings(const ResolvedRequest& r, const ModelConfig& model, bool refiner,
                                 const EncodeText& encode) {
  PromptEmbeddings embeddings{encode_row(r.prompts.positive, r.request.clip_skip.value_or(0), model, encode)};
  const auto guided =
      std::ranges::find_if(r.loops, [&](const Loop& loop) { return loop.refiner == refiner && loop.guidance; });
  if (guided == r.loops.end()) return embeddings;
  // clip_skip is for the positive prompt alone.
  embeddings.negative =
      guided->zero_negative ? zeros_like(embeddings.positive) : encode_row(r.prompts.negative, 0, model, encode);
  return embeddings;
}

PromptEmbeddings second_encoder_of(const PromptEmbeddings& embeddings, const ModelConfig& model) {
  const auto width = static_cast<size_t>(model.unet.cross_attention_dim),
             second = static_cast<size_t>(model.text_encoder_2.hidden_size);
  const auto part = [&](const PromptRow& row) {
    PromptRow out{{}, row.pooled};
    for (size_t end = width; end <= row.hidden.size(); end += width) {
      const auto at = row.hidden.begin() + static_cast<std::ptrdiff_t>(end);
      out.hidden.insert(out.hidden.end(), at - static_cast<std::ptrdiff_t>(second), at);
    }
    return out;
  };
  PromptEmbeddings out{part(embeddings.positive)};
  if (embeddings.negative) out.negative = part(*embeddings.negative);
  return out;
}

Conditioning make_conditioning(std::span<const Picture* const> pictures, bool aesthetic) {
  Conditioning c;
  const auto append = [&](const Picture& picture, const PromptRow& row, bool negative) {
    const std::vector<float> ids = time_ids(picture, negative, aesthetic);
    c.encoder_hidden_states.insert(c.encoder_hidden_states.end(), row.hidden.begin(), row.hidden.end());
    c.text_embeds.insert(c.text_embeds.end(), row.pooled.begin(), row.pooled.end());
    c.time_ids.insert(c.time_ids.end(), ids.begin(), ids.end());
    c.guidance.push_back(static_cast<float>((*picture.request->request.guidance_scale - 1) * 1000));
  };
  for (const Picture* picture : pictures)
    if (picture->guided()) append(*picture, picture->embeddings->negative.value(), true);
  for (const Picture* picture : pictures) append(*picture, picture->embeddings->positive, false);
  return c;
}

}  // namespace tempera
