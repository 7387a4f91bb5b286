#include "pipeline/loop_start.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "image/latent_resize.h"
#include "pipeline/posterior.h"

namespace tempera {
namespace {

std::vector<float> scaled(std::vector<float> values, double factor) {
  const auto f = static_cast<float>(factor);
  for (float& value : values) value *= f;
  return values;
}

LatentUpscaler upscaler_of(std::string_view name) {
  if (name == "latent-nearest") return LatentUpscaler::nearest;
  return name == "latent-bicubic" ? LatentUpscaler::bicubic : LatentUpscaler::bilinear;
}

// The mask for each pixel of the latents, and the latents of the masked picture (a UNet that reads a mask).
std::vector<float> condition_of(std::span<const float> mask, std::span<const float> masked) {
  const size_t channels = masked.size() / mask.size();
  std::vector<float> values;
  values.reserve(mask.size() + masked.size());
  for (size_t p = 0; p < mask.size(); ++p) {
    values.push_back(mask[p]);
    values.insert(values.end(), &masked[p * channels], &masked[p * channels] + channels);
  }
  return values;
}

// The start of one picture, with its generator. Its members are called in the order of the draws.
class FirstStart {
 public:
  FirstStart(const ResolvedRequest& r, const VaeConfig& vae, const TinyVaeConfig* tiny, const StartPicture& from,
             const StartNoise& noise)
      : r_(r), loop_(r.loops.front()), vae_(vae), tiny_(tiny), from_(from), noise_(noise) {}

  PictureStart make() {
    PictureStart start;
    if (!loop_.reads_mask && loop_.blending == Blending::none) {
      start.state = latents(false);
      if (loop_.start == LoopStart::picture)
        start.state = with_noise(loop_, std::move(start.state), noise_.own.values());
      return start;
    }
    std::vector<float> original;
    if (loop_.reads_picture()) original = latents(false);
    std::vector<float> draw = noise_.own.values();
    if (noise_.sampler != nullptr) noise_.sampler->values();  // as its own picture does
    std::vector<float> mask = latent_mask(from_.prepared, vae_.scale());
    if (r_.request.inpaint_fill == "noise") fill(original, draw, mask);
    start.state = first_state(original, draw);
    if (loop_.reads_mask) {
      start.mask_inputs["inpaint_condition"] = condition_of(mask, latents(true));
    } else {
      if (tiny_ == nullptr && noise_.sampler == nullptr)
        noise_.own.values();  // diffusers samples the masked picture for these UNets too
      start.mask_inputs["original"] = std::move(original);
      start.mask_inputs["start_noise"] = std::move(draw);
      start.mask_inputs["mask"] = std::move(mask);
    }
    return start;
  }

 private:
  // Of the picture or of the masked picture.
  std::vector<float> latents(bool masked) {
    if (!from_.latents.empty()) return from_.latents;
    const std::vector<float>& encoded = masked ? from_.encoded_masked : from_.encoded;
    // Inpainting does not apply the statistics of the latents (diffusers _encode_vae_image).
    return to_latents(vae_, tiny_, encoded, noise_.sampler == nullptr ? noise_.own : *noise_.sampler,
                      !loop_.reads_mask && loop_.blending == Blending::none);
  }

  std::vector<float> first_state(const std::vector<float>& original, const std::vector<float>& draw) const {
    if (loop_.start == LoopStart::noise) return scaled(draw, loop_.schedule.init_noise_sigma);
    if (loop_.start == LoopStart::latents) return original;
    return with_noise(loop_, original, draw);
  }

  // Noise instead of the picture where the mask is white.
  static void fill(std::vector<float>& original, std::span<const float> draw, std::span<const float> mask) {
    const size_t channels = original.size() / mask.size();
    for (size_t i = 0; i < original.size(); ++i)
      if (mask[i / channels] >= 0.5f) original[i] = draw[i];
  }

  const ResolvedRequest& r_;
  const Loop& loop_;
  const VaeConfig& vae_;
  const TinyVaeConfig* tiny_;
  const StartPicture& from_;
  const StartNoise& noise_;
};

}  // namespace

PictureStart first_start(const ResolvedRequest& r, const VaeConfig& vae, const TinyVaeConfig* tiny,
                         const StartPicture* from, const StartNoise& noise) {
  const Loop& loop = r.loops.front();
  if (from == nullptr) return {};
  if (loop.start == LoopStart::noise && !loop.reads_mask && loop.blending == Blending::none)
    return {scaled(from->latents, loop.schedule.init_noise_sigma)};
  return FirstStart(r, vae, tiny, *from, noise).make();
}

uint64_t sample_seed(const Request& request, int image, size_t files) {
  return request.sample_seed.value_or(*request.seed) + static_cast<size_t>(image) % std::max<size_t>(1, files);
}

std::vector<float> to_latents(const VaeConfig& vae, const TinyVaeConfig* tiny, std::vector<float> encoded,
                              PictureNoise& noise, bool normalize) {
  if (tiny != nullptr) {
    scale_latents(encoded, *tiny);
    return encoded;
  }
  std::vector<float> latents = sample_posterior(encoded, noise.values(), vae.latent_channels);
  scale_latents(latents, vae, normalize);
  return latents;
}

std::vector<float> with_noise(const Loop& loop, std::vector<float> latents, std::span<const float> draw) {
  TEMPERA_ASSERT(latents.size() == draw.size());
  const Evaluation& first = loop.schedule.evaluations.front();
  const auto signal = static_cast<float>(first.signal), noise = static_cast<float>(first.noise);
  for (size_t i = 0; i < latents.size(); ++i) latents[i] = latents[i] * signal + draw[i] * noise;
  return latents;
}

std::vector<float> enlarged(const Request& request, const Loop& before, const Loop& loop,
                            std::span<const float> latents) {
  const auto channels = static_cast<int>(latents.size() / static_cast<size_t>(before.latent_width) /
                                         static_cast<size_t>(before.latent_height));
  return resize_latents(latents, before.latent_height, before.latent_width, channels, loop.latent_height,
                        loop.latent_width, upscaler_of(request.hires_upscaler));
}

}  // namespace tempera
