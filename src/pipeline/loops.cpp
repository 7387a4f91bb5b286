#include "pipeline/loops.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tempera {
namespace {

constexpr double kRefinerStart = 0.8;  // of the published refiner: the last fifth

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
    fail(ErrorCode::invalid_argument, "{} {} leaves no step: give a {} fraction or a larger {}", field, value,
         field.name == "denoising_end" ? "larger" : "smaller", FieldName{"num_inference_steps"});
}

class Maker {
 public:
  Maker(const Request& request, const LoopInputs& inputs, const SchedulerConfig& scheduler,
        const ScheduleOptions& options)
      : r_(request), in_(inputs), scheduler_(scheduler), options_(options) {}

  std::vector<Loop> make() {
    add_first();
    if (r_.hires_size || r_.hires_scale > 1) add_second();
    if (in_.refiner != nullptr) add_refiner();
    return std::move(loops_);
  }

 private:
  const ModelConfig& model_of(const Loop& loop) const { return loop.refiner ? *in_.refiner : *in_.model; }

  Loop loop_of(bool refiner, int width, int height) const {
    const int unit = in_.model->vae.scale();
    Loop loop{.refiner = refiner,
              .width = width,
              .height = height,
              .latent_width = width / unit,
              .latent_height = height / unit};
    const ModelConfig& model = model_of(loop);
    loop.guidance = *r_.guidance_scale > 1 && model.unet.time_cond_proj_dim == 0;
    loop.guidance_rescale = loop.guidance && r_.guidance_rescale > 0;
    loop.zero_negative = !r_.negative_prompt && model.force_zeros_for_empty_prompt;
    if (!in_.mask) return loop;
    loop.reads_mask = model.unet.in_channels != model.unet.out_channels;
    if (!loop.reads_mask) loop.blending = r_.mask_mode == "soft" ? Blending::soft : Blending::hard;
    return loop;
  }

  void add_first() {
    Loop loop = loop_of(false, in_.width, in_.height);
    Schedule whole = make_schedule(scheduler_, options_);
    int first = 0;
    if (is_fraction(r_.denoising_start)) {
      loop.start = LoopStart::latents;
      first = first_from(*r_.denoising_start, whole);
    } else if (in_.picture) {
      loop.start = in_.mask && *r_.strength == 1 ? LoopStart::noise : LoopStart::picture;
      first = first_for(*r_.strength, whole, options_.steps, {"strength"});
    }
    if (std::cmp_greater_equal(first, whole.evaluations.size()))
      require_steps({}, {"denoising_start"}, *r_.denoising_start);
    set_schedule(loop, std::move(whole), options_, first);
    if (r_.denoising_end) {
      loop.schedule = truncate(std::move(loop.schedule), *r_.denoising_end);
      require_steps(loop.schedule, {"denoising_end"}, *r_.denoising_end);
    }
    loops_.push_back(std::move(loop));
  }

  void add_second() {
    const int unit = in_.model->vae.scale();
    std::array<int, 2> size{};
    if (r_.hires_size) {
      size = *r_.hires_size;
    } else {
      // torch.nn.functional.interpolate with a scale factor rounds the size of the latents down.
      const auto scaled = [&](int pixels) {
        const int latent = pixels / unit;
        return static_cast<int>(std::floor(latent * r_.hires_scale)) * unit;
      };
      size = {scaled(in_.width), scaled(in_.height)};
    }
    Loop loop = loop_of(false, size[0], size[1]);
    loop.enlarges = true;
    loop.start = LoopStart::picture;
    ScheduleOptions options = options_;
    if (r_.hires_steps) options = {.steps = *r_.hires_steps, .eta = options_.eta};
    Schedule whole = make_schedule(scheduler_, options);
    const int first = first_for(r_.hires_strength, whole, options.steps, {"hires_strength"});
    set_schedule(loop, std::move(whole), options, first);
    loops_.push_back(std::move(loop));
  }

  // The refiner draws the end of the last loop. If that loop has no evaluation before it, the refiner draws all of it.
  void add_refiner() {
    const double start = r_.refiner_start.value_or(kRefinerStart);
    if (start >= 1) return;
    Loop& before = loops_.back();
    Loop loop = loop_of(true, before.width, before.height);
    loop.start = LoopStart::latents;
    const int first = std::max(first_from(start, whole_), first_);
    if (std::cmp_greater_equal(first, whole_.evaluations.size())) return;
    loop.schedule = from(first, scheduler_, last_options_);
    before.schedule = truncate(std::move(before.schedule), start);
    if (start == 0 || before.schedule.evaluations.empty()) {
      loop.start = before.start;
      loop.enlarges = before.enlarges;
      loops_.pop_back();
    } else {
      const Evaluation& next = loop.schedule.evaluations.front();
      loop.blend_range.before = before.schedule.evaluations.size();
      before.blend_range = {0, loop.schedule.evaluations.size(), next.signal, next.noise};
    }
    loops_.push_back(std::move(loop));
  }

  void set_schedule(Loop& loop, Schedule whole, const ScheduleOptions& options, int first) {
    loop.schedule = first == 0 ? whole : from(first, scheduler_, options);
    first_ = first;
    last_options_ = options;
    whole_ = std::move(whole);
  }

  const Request& r_;
  const LoopInputs& in_;
  const SchedulerConfig& scheduler_;
  const ScheduleOptions& options_;
  std::vector<Loop> loops_;
  // Of the last loop: its options, its whole schedule, and the number of evaluations that it leaves out.
  ScheduleOptions last_options_;
  Schedule whole_;
  int first_ = 0;
};

}  // namespace

std::vector<Loop> make_loops(const Request& request, const LoopInputs& inputs, const SchedulerConfig& scheduler,
                             const ScheduleOptions& options) {
  return Maker(request, inputs, scheduler, options).make();
}

}  // namespace tempera
