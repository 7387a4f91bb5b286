#include "pipeline/posterior.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tempera {

// In float, as in diffusers.
std::vector<float> sample_posterior(std::span<const float> moments, std::span<const float> noise, int channels) {
  const auto c = static_cast<size_t>(channels);
  TEMPERA_ASSERT(c > 0 && moments.size() == 2 * noise.size() && noise.size() % c == 0);
  std::vector<float> sample(noise.size());
  for (size_t i = 0; i < sample.size(); ++i) {
    const size_t mean = i / c * 2 * c + i % c;
    const float deviation = std::exp(0.5f * std::clamp(moments[mean + c], -30.0f, 20.0f));
    sample[i] = moments[mean] + deviation * noise[i];
  }
  return sample;
}

void scale_latents(std::span<float> latents, const VaeConfig& vae, bool normalize) {
  const auto factor = static_cast<float>(vae.scaling_factor);
  const size_t channels = vae.latents_mean.size();
  if (!normalize || channels == 0) {
    for (float& z : latents) z *= factor;
    return;
  }
  for (size_t i = 0; i < latents.size(); ++i)
    latents[i] = (latents[i] - static_cast<float>(vae.latents_mean[i % channels])) * factor /
                 static_cast<float>(vae.latents_std[i % channels]);
}

void scale_latents(std::span<float> latents, const TinyVaeConfig& vae) {
  for (float& z : latents) z *= static_cast<float>(vae.scaling_factor);
}

}  // namespace tempera
