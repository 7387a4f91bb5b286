#include "pipeline/denoise_stage.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "pipeline/programs.h"
#include "sampling/rng.h"

namespace tempera {
namespace {

// Noise for every picture of a forward, each from its own generator, so that a picture does not depend on its batch.
class NoiseSource {
 public:
  NoiseSource(Executable& unet, const ResolvedRequest& r, const DenoiseJob& job)
      : unet_(unet), channels_(static_cast<size_t>(job.channels)) {
    pixels_ = static_cast<size_t>(r.latent_height) * static_cast<size_t>(r.latent_width);
    const Rng rng = r.request.rng == "cuda" ? Rng::cuda : Rng::cpu;
    if (rng == Rng::cuda) counters_.emplace(job.seed);
    for (int i = 0; i < job.images; ++i)
      generators_.push_back(make_generator(rng, job.seed + static_cast<uint64_t>(i)));
    planar_.resize(pixels_ * channels_);
    values_.resize(static_cast<size_t>(unet.program().input("state").ref.desc.shape.elements()));
  }

  // The next draw of torch.randn((1, C, h, w)) per picture, as (h, w, C), times `scale`, into the beginning of each row
  // of an input. What a row has beyond, the sampler's other slots, becomes zero.
  void draw(std::string_view input, float scale) {
    if (counters_ && drawn_there(input, scale)) return;
    counters_.reset();
    const std::span<float> values = std::span(values_).first(elements(input));
    const size_t row = values.size() / generators_.size();
    if (row > planar_.size()) std::ranges::fill(values, 0.0f);
    for (size_t i = 0; i < generators_.size(); ++i) {
      generators_[i]->normal(planar_);
      float* picture = &values[i * row];
      for (size_t c = 0; c < channels_; ++c)
        for (size_t p = 0; p < pixels_; ++p) picture[p * channels_ + c] = planar_[c * pixels_ + p] * scale;
    }
    unet_.write_input(input, values);
  }

  void clear(std::string_view input) { unet_.write_input(input, std::vector<float>(elements(input))); }

 private:
  size_t elements(std::string_view input) const {
    return static_cast<size_t>(unet_.program().input(input).ref.desc.shape.elements());
  }

  bool drawn_there(std::string_view input, float scale) {
    const PhiloxDraw draw = counters_->next(planar_.size());
    const size_t row = elements(input) / generators_.size();
    if (row > planar_.size()) clear(input);
    for (size_t i = 0; i < generators_.size(); ++i) {
      const NormalDraw picture{
          draw.seed + i, draw.counter, draw.threads, static_cast<int64_t>(channels_), static_cast<int64_t>(pixels_),
          scale};
      if (!unet_.draw_input(input, static_cast<int64_t>(i * row), picture)) return false;
    }
    return true;
  }

  Executable& unet_;
  std::optional<PhiloxStream> counters_;  // of the first picture, while the device makes numbers of them
  std::vector<std::unique_ptr<Generator>> generators_;
  std::vector<float> planar_, values_;
  size_t channels_, pixels_ = 0;
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

void denoise(Executable& unet, const ResolvedRequest& r, const Conditioning& conditioning, const DenoiseJob& job,
             std::byte* latents, const std::function<void(size_t)>& on_step, const CheckCancelled& check) {
  const Schedule& schedule = r.schedule;
  NoiseSource noise(unet, r, job);
  noise.draw("state", static_cast<float>(schedule.init_noise_sigma));
  noise.clear("noise");

  write_condition(unet, "encoder_hidden_states", conditioning.encoder_hidden_states, job.two_passes);
  write_condition(unet, "text_embeds", conditioning.text_embeds, job.two_passes);
  write_condition(unet, "time_ids", conditioning.time_ids, job.two_passes);
  unet.run_prologue(check);

  const auto images = static_cast<size_t>(job.images);
  std::vector<float> step(static_cast<size_t>(StepLayout::length(schedule.slots)));  // of each picture
  step[StepLayout::kGuidanceScale] = static_cast<float>(*r.request.guidance_scale);
  step[StepLayout::kGuidanceRescale] = static_cast<float>(r.request.guidance_rescale);
  for (size_t i = 0; i < schedule.evaluations.size(); ++i) {
    const Evaluation& e = schedule.evaluations[i];
    step[StepLayout::kInputScale] = static_cast<float>(e.input_scale);
    TEMPERA_ASSERT(e.update.size() + StepLayout::kUpdate == step.size());
    std::transform(e.update.begin(), e.update.end(), step.begin() + StepLayout::kUpdate,
                   [](double x) { return static_cast<float>(x); });
    unet.write_input("timestep", std::vector<float>(images, static_cast<float>(e.timestep)));
    std::vector<float> steps;
    for (size_t n = 0; n < images; ++n) steps.insert(steps.end(), step.begin(), step.end());
    unet.write_input("step", steps);
    // A card is still at the evaluation before: what the host draws costs no time there.
    if (e.uses_noise) noise.draw("noise", 1);
    unet.run(check);
    on_step(i + 1);
  }
  unet.copy_output("state", latent_bytes(unet.program()), latents);
}

}  // namespace tempera
