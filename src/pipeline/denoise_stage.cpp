#include "pipeline/denoise_stage.h"

#include <algorithm>

#include "base/error.h"

namespace tempera {
namespace {

// Noise for every picture of a forward, each from its own generator, so that a picture does not depend on its batch.
class NoiseSource {
 public:
  NoiseSource(const ResolvedRequest& r, const DenoiseJob& job) : channels_(static_cast<size_t>(job.channels)) {
    pixels_ = static_cast<size_t>(r.latent_height) * static_cast<size_t>(r.latent_width);
    const Rng rng = r.request.rng == "cuda" ? Rng::cuda : Rng::cpu;
    for (int i = 0; i < job.images; ++i)
      generators_.push_back(make_generator(rng, job.seed + static_cast<uint64_t>(i)));
    planar_.resize(pixels_ * channels_);
  }

  size_t size() const { return generators_.size() * planar_.size(); }

  // The next draw of torch.randn((1, C, h, w)) per picture, as (N, h, w, C), times `scale`.
  void draw(std::span<float> out, float scale) {
    for (size_t i = 0; i < generators_.size(); ++i) {
      generators_[i]->normal(planar_);
      float* picture = &out[i * planar_.size()];
      for (size_t c = 0; c < channels_; ++c)
        for (size_t p = 0; p < pixels_; ++p) picture[p * channels_ + c] = planar_[c * pixels_ + p] * scale;
    }
  }

 private:
  std::vector<std::unique_ptr<Generator>> generators_;
  std::vector<float> planar_;
  size_t channels_, pixels_;
};

// Rows [negative..., positive...], to where each belongs.
void write_condition(Executable& unet, const std::string& name, std::span<const float> rows, bool two_passes) {
  if (two_passes) {
    unet.write_input("negative_" + name, rows.first(rows.size() / 2));
    rows = rows.last(rows.size() / 2);
  }
  unet.write_input(name, rows);
}

}  // namespace

std::vector<float> denoise(Executable& unet, const ResolvedRequest& r, const Conditioning& conditioning,
                           const DenoiseJob& job, const std::function<void(size_t)>& on_step,
                           const CheckCancelled& check) {
  const Schedule& schedule = r.schedule;
  NoiseSource source(r, job);
  std::vector<float> state(source.size() * static_cast<size_t>(schedule.slots)), noise(source.size());
  source.draw(std::span(state).first(noise.size()), static_cast<float>(schedule.init_noise_sigma));

  write_condition(unet, "encoder_hidden_states", conditioning.encoder_hidden_states, job.two_passes);
  write_condition(unet, "text_embeds", conditioning.text_embeds, job.two_passes);
  write_condition(unet, "time_ids", conditioning.time_ids, job.two_passes);
  unet.write_input("state", state);
  unet.write_input("noise", noise);
  unet.run_prologue(check);

  std::vector<float> step(static_cast<size_t>(StepLayout::length(schedule.slots)));
  step[StepLayout::kGuidanceScale] = static_cast<float>(*r.request.guidance_scale);
  step[StepLayout::kGuidanceRescale] = static_cast<float>(r.request.guidance_rescale);
  for (size_t i = 0; i < schedule.evaluations.size(); ++i) {
    const Evaluation& e = schedule.evaluations[i];
    step[StepLayout::kInputScale] = static_cast<float>(e.input_scale);
    TEMPERA_ASSERT(e.update.size() + StepLayout::kUpdate == step.size());
    std::transform(e.update.begin(), e.update.end(), step.begin() + StepLayout::kUpdate,
                   [](double x) { return static_cast<float>(x); });
    const auto timestep = static_cast<float>(e.timestep);
    unet.write_input("timestep", std::span(&timestep, 1));
    unet.write_input("step", step);
    if (e.uses_noise) {
      source.draw(noise, 1);
      unet.write_input("noise", noise);
    }
    unet.run(check);
    on_step(i + 1);
  }
  state = unet.read_output("state");
  state.resize(noise.size());
  return state;
}

void unscale_latents(std::vector<float>& latents, const VaeConfig& vae) {
  const auto channels = static_cast<size_t>(vae.latent_channels);
  const auto factor = static_cast<float>(vae.scaling_factor);
  for (size_t i = 0; i < latents.size(); ++i) {
    const size_t c = i % channels;
    latents[i] = vae.latents_mean.empty() ? latents[i] / factor
                                          : latents[i] * static_cast<float>(vae.latents_std[c]) / factor +
                                                static_cast<float>(vae.latents_mean[c]);
  }
}

void unscale_latents(std::vector<float>& latents, const TinyVaeConfig& vae) {
  const auto factor = static_cast<float>(vae.scaling_factor);
  for (float& x : latents) x /= factor;
}

}  // namespace tempera
