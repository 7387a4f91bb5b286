#include "pipeline/finite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tempera {
namespace {

bool is_finite(float value) {
  return std::isfinite(value);
}

std::string warning(std::string_view component) {
  return fmt::format(
      "the {} computed values that are not finite (NaN or infinity), so the picture is wrong: use the dtype fp32, or "
      "get the model again if its file is damaged",
      component);
}

}  // namespace

std::string embeddings_warning(const PromptEmbeddings& embeddings, const ModelConfig& model) {
  // The columns of a row: the first encoder's, then the second's.
  const auto width = static_cast<size_t>(model.unet.cross_attention_dim);
  const auto first = static_cast<size_t>(model.text_encoder ? model.text_encoder->hidden_size : 0);
  for (const PromptRow* row : {&embeddings.positive, embeddings.negative ? &*embeddings.negative : nullptr}) {
    if (row == nullptr) continue;
    const auto at = std::find_if_not(row->hidden.begin(), row->hidden.end(), is_finite);
    const auto column = static_cast<size_t>(at - row->hidden.begin()) % width;
    if (at != row->hidden.end()) return warning(column < first ? "text_encoder" : "text_encoder_2");
    if (!std::ranges::all_of(row->pooled, is_finite)) return warning("text_encoder_2");
  }
  return "";
}

std::string latents_warning(std::span<const float> latents) {
  return std::ranges::all_of(latents, is_finite) ? "" : warning("unet");
}

std::string picture_warning(std::span<const uint8_t> rgb, std::span<const float> latents, std::string_view decoder) {
  const bool black = std::ranges::all_of(rgb, [](uint8_t value) { return value == 0; });
  const bool zeros = std::ranges::all_of(latents, [](float value) { return value == 0; });
  if (!black || zeros) return "";
  return fmt::format(
      "the {} made a black picture: its values overflow or its weights are damaged, so use the vae_dtype fp32 or "
      "another autoencoder",
      decoder);
}

}  // namespace tempera
