#include "pipeline/passes.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tempera {
namespace {

constexpr double kRefinerStart = 0.8;  // of the published refiner: the last fifth

// diffusers' defaults of StableDiffusionXLImg2ImgPipeline and StableDiffusionXLInpaintPipeline.
constexpr double kStrength = 0.3, kStrengthOfMask = 0.9999;

// The evaluations that are left out for a strength (diffusers get_timesteps): whole steps.
int first_for(double strength, const Schedule& whole, int steps, FieldName field) {
  const int run = std::min(static_cast<int>(steps * strength), steps);
  if (run < 1)
    fail(ErrorCode::invalid_argument, "{} {} of {} steps leaves no step: give a larger {} or more steps", field,
         strength, steps, field);
  return (steps - run) * whole.order;
}

// The evaluations before the fraction `start` of the schedule (diffusers get_timesteps with denoising_start).
int first_from(double start, const Schedule& whole) {
  const double all = whole.num_train_timesteps;
  const double cutoff = std::nearbyint(all - start * all);
  auto left = std::ranges::count_if(whole.evaluations, [&](const Evaluation& e) { return e.timestep < cutoff; });
  if (whole.order == 2 && left % 2 == 0) ++left;  // a whole step
  return static_cast<int>(std::max<std::ptrdiff_t>(0, std::ssize(whole.evaluations) - left));
}

// Whether a value of denoising_start has an effect (diffusers denoising_value_valid).
bool is_fraction(const std::optional<double>& value) {
  return value && *value > 0 && *value < 1;
}

// A schedule without its first evaluations.
Schedule from(int first, const SchedulerConfig& scheduler, ScheduleOptions options) {
  options.first = first;
  return make_schedule(scheduler, options);
}

void require_steps(const Schedule& schedule, FieldName field, double value) {
  if (schedule.evaluations.empty())
    fail(ErrorCode::invalid_argument, "{} {} leaves no step: give another fraction or a larger {}", field, value,
         FieldName{"num_inference_steps"});
}

class Maker {
 public:
  Maker(const Request& request, const PassInputs& inputs, const SchedulerConfig& scheduler,
        const ScheduleOptions& options)
      : r_(request), in_(inputs), scheduler_(scheduler), options_(options) {}

  std::vector<Pass> make() {
    add_first();
    if (r_.hires_size || r_.hires_scale > 1) add_second();
    if (in_.refiner != nullptr) add_refiner();
    return std::move(passes_);
  }

 private:
  const ModelConfig& model_of(const Pass& pass) const { return pass.refiner ? *in_.refiner : *in_.model; }

  Pass pass_of(bool refiner, int width, int height) const {
    const int unit = in_.model->vae.scale();
    Pass pass{.refiner = refiner,
              .width = width,
              .height = height,
              .latent_width = width / unit,
              .latent_height = height / unit};
    const ModelConfig& model = model_of(pass);
    pass.guidance = *r_.guidance_scale > 1 && model.unet.time_cond_proj_dim == 0;
    pass.guidance_rescale = pass.guidance && r_.guidance_rescale > 0;
    pass.zero_negative = !r_.negative_prompt && model.force_zeros_for_empty_prompt;
    if (!in_.mask) return pass;
    pass.reads_mask = model.unet.in_channels != model.unet.out_channels;
    if (!pass.reads_mask) pass.blending = r_.mask_mode == "soft" ? Blending::soft : Blending::hard;
    return pass;
  }

  void add_first() {
    Pass pass = pass_of(false, in_.width, in_.height);
    Schedule whole = make_schedule(scheduler_, options_);
    int first = 0;
    if (is_fraction(r_.denoising_start)) {
      pass.start = PassStart::latents;
      first = first_from(*r_.denoising_start, whole);
    } else if (in_.picture) {
      const double strength = r_.strength.value_or(in_.mask ? kStrengthOfMask : kStrength);
      pass.start = in_.mask && strength == 1 ? PassStart::noise : PassStart::picture;
      first = first_for(strength, whole, options_.steps, {"strength"});
    }
    if (std::cmp_greater_equal(first, whole.evaluations.size()))
      require_steps({}, {"denoising_start"}, *r_.denoising_start);
    set_schedule(pass, std::move(whole), options_, first);
    if (r_.denoising_end) {
      pass.schedule = truncate(std::move(pass.schedule), *r_.denoising_end);
      require_steps(pass.schedule, {"denoising_end"}, *r_.denoising_end);
    }
    passes_.push_back(std::move(pass));
  }

  void add_second() {
    const int unit = in_.model->vae.scale();
    std::array<int, 2> size{};
    if (r_.hires_size) {
      size = *r_.hires_size;
    } else {
      // torch.nn.functional.interpolate with a scale factor rounds the size of the latents down.
      const auto scaled = [&](int pixels) {
        return static_cast<int>(std::floor(pixels / unit * r_.hires_scale)) * unit;
      };
      size = {scaled(in_.width), scaled(in_.height)};
    }
    Pass pass = pass_of(false, size[0], size[1]);
    pass.enlarges = true;
    pass.start = PassStart::picture;
    ScheduleOptions options = options_;
    if (r_.hires_steps) options = {.steps = *r_.hires_steps, .eta = options_.eta};
    Schedule whole = make_schedule(scheduler_, options);
    const int first = first_for(r_.hires_strength, whole, options.steps, {"hires_strength"});
    set_schedule(pass, std::move(whole), options, first);
    passes_.push_back(std::move(pass));
  }

  // The refiner draws the end of the last pass. If that pass has no evaluation before it, the refiner draws all of it.
  void add_refiner() {
    const double start = r_.refiner_start.value_or(kRefinerStart);
    if (start >= 1) return;
    Pass& before = passes_.back();
    Pass pass = pass_of(true, before.width, before.height);
    pass.start = PassStart::latents;
    const int first = std::max(first_from(start, whole_), first_);
    if (std::cmp_greater_equal(first, whole_.evaluations.size())) return;
    pass.schedule = from(first, scheduler_, last_options_);
    before.schedule = truncate(std::move(before.schedule), start);
    if (start == 0 || before.schedule.evaluations.empty()) {
      pass.start = before.start;
      pass.enlarges = before.enlarges;
      passes_.pop_back();
    } else {
      pass.before = before.schedule.evaluations.size();
    }
    passes_.push_back(std::move(pass));
  }

  void set_schedule(Pass& pass, Schedule whole, const ScheduleOptions& options, int first) {
    pass.schedule = first == 0 ? whole : from(first, scheduler_, options);
    first_ = first;
    last_options_ = options;
    whole_ = std::move(whole);
  }

  const Request& r_;
  const PassInputs& in_;
  const SchedulerConfig& scheduler_;
  const ScheduleOptions& options_;
  std::vector<Pass> passes_;
  // Of the last pass: its options, its whole schedule, and the number of evaluations that it leaves out.
  ScheduleOptions last_options_;
  Schedule whole_;
  int first_ = 0;
};

}  // namespace

std::vector<Pass> make_passes(const Request& request, const PassInputs& inputs, const SchedulerConfig& scheduler,
                              const ScheduleOptions& options) {
  return Maker(request, inputs, scheduler, options).make();
}

}  // namespace tempera
