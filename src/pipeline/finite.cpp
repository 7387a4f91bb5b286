#include "pipeline/finite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weights/finite_values.h"

namespace tempera {
namespace {

bool is_finite(float value) {
  return std::isfinite(value);
}

// `weights` may be null.
std::string damage_in(const Checkpoint* weights) {
  return weights == nullptr ? "" : damaged_tensor(*weights);
}

std::string warning(std::string_view component, const Checkpoint* weights) {
  if (const std::string damage = damage_in(weights); !damage.empty())
    return fmt::format("the {} computed values that are not finite, so the picture is wrong: {}, get the file again",
                       component, damage);
  return fmt::format(
      "the {} computed values that are not finite (NaN or infinity), so the picture is wrong: use the dtype fp32",
      component);
}

}  // namespace

std::string embeddings_warning(const PromptEmbeddings& embeddings, const ModelConfig& model,
                               const WeightsOf& weights_of) {
  const auto damaged = [&](std::string_view component) { return warning(component, weights_of(component)); };
  // The columns of a row: the first encoder's, then the second's.
  const auto width = static_cast<size_t>(model.unet.cross_attention_dim);
  const auto first = static_cast<size_t>(model.text_encoder ? model.text_encoder->hidden_size : 0);
  for (const PromptRow* row : {&embeddings.positive, embeddings.negative ? &*embeddings.negative : nullptr}) {
    if (row == nullptr) continue;
    const auto at = std::find_if_not(row->hidden.begin(), row->hidden.end(), is_finite);
    const auto column = static_cast<size_t>(at - row->hidden.begin()) % width;
    if (at != row->hidden.end()) return damaged(column < first ? "text_encoder" : "text_encoder_2");
    if (!std::ranges::all_of(row->pooled, is_finite)) return damaged("text_encoder_2");
  }
  return "";
}

std::string latents_warning(std::span<const float> latents, const Checkpoint& unet) {
  return std::ranges::all_of(latents, is_finite) ? "" : warning("unet", &unet);
}

std::string picture_warning(std::span<const uint8_t> rgb, std::span<const float> latents, std::string_view decoder,
                            const Checkpoint& weights) {
  const bool black = std::ranges::all_of(rgb, [](uint8_t value) { return value == 0; });
  const bool zeros = std::ranges::all_of(latents, [](float value) { return value == 0; });
  if (!black || zeros) return "";
  if (const std::string damage = damage_in(&weights); !damage.empty())
    return fmt::format("the {} made a black picture: {}, get the file again or use another autoencoder", decoder,
                       damage);
  return fmt::format(
      "the {} made a black picture: its values overflow, so use the vae_dtype fp32 or another autoencoder", decoder);
}

}  // namespace tempera
