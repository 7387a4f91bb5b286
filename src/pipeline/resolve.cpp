#include "pipeline/resolve.h"

#include <random>

#include "base/error.h"
#include "base/json.h"
#include "sampling/config.h"
#include "sampling/names.h"

namespace tempera {
namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 26;  // 8192 x 8192: tensors stay within the kernels' 32-bit strides

SchedulerConfig own_scheduler(const SchedulerSource& source) {
  if (source.json.empty())
    fail(ErrorCode::bad_file, "the model has no sampler, '{}' is missing: choose one with {}", source.origin,
         FieldName{"scheduler"});
  try {
    return parse_scheduler_config(source.json, source.origin);
  } catch (const Error& error) {
    fail(error.code(), "the model's own sampler in '{}' cannot be used: {}; or choose another with {}", source.origin,
         error.message(), FieldName{"scheduler"});
  }
}

// The model's own sampler is read only if no other is given.
// A file in r.scheduler_config is replaced by its text, which redraws the picture elsewhere.
SchedulerConfig choose_scheduler(Request& r, const SchedulerSource& source, std::string& name) {
  if (!r.scheduler.empty() && !r.scheduler_config.empty())
    fail(ErrorCode::invalid_argument, "{} and {} are both given: give one of them", FieldName{"scheduler"},
         FieldName{"scheduler_config"});
  SchedulerConfig config;
  if (!r.scheduler_config.empty()) {
    const bool is_text = r.scheduler_config.starts_with('{');  // as in the metadata of pictures
    const std::string what = is_text ? "scheduler_config" : r.scheduler_config;
    const std::string text = is_text ? r.scheduler_config : read_text_file(r.scheduler_config, 1 << 20);
    config = parse_scheduler_config(text, what);
    name = is_text ? config.class_name : what;
    r.scheduler_config = compact_scheduler_config(text, what);
  } else if (!r.scheduler.empty()) {
    name = r.scheduler;
    config = scheduler_config(r.scheduler, r.schedule, parse_model_levels(source.json, source.origin));
  } else {
    config = own_scheduler(source);
    name = config.class_name;
  }
  if (!r.schedule.empty()) {
    if (r.scheduler.empty()) set_schedule(config, r.schedule);
    name += fmt::format(" ({})", r.schedule);
  }
  return config;
}

// The steps of the request, with its own levels or without.
ScheduleOptions schedule_options(Request& r, int default_steps) {
  ScheduleOptions options{.eta = r.eta.value_or(0), .timesteps = r.timesteps, .sigmas = r.sigmas};
  const int own = options.own_steps();
  const FieldName field{r.timesteps.empty() ? "sigmas" : "timesteps"};
  if (own > 0 && r.num_inference_steps && *r.num_inference_steps != own)
    fail(ErrorCode::invalid_argument, "{} is {}, but {} is for {} steps: leave {} out",
         FieldName{"num_inference_steps"}, *r.num_inference_steps, field, own, FieldName{"num_inference_steps"});
  options.steps = own > 0 ? own : r.num_inference_steps.value_or(default_steps);
  r.num_inference_steps = options.steps;
  if (options.steps < 1)
    fail(ErrorCode::invalid_argument, "{} is {}: give a number of steps from 1 to 10000",
         FieldName{"num_inference_steps"}, options.steps);
  return options;
}

Prompts prompts_of(const Request& r, bool force_zeros_for_empty_prompt) {
  Prompts p;
  p.positive[0] = r.prompt;
  p.positive[1] = r.prompt_2.value_or(r.prompt);
  p.zero_negative = !r.negative_prompt && force_zeros_for_empty_prompt;
  p.negative[0] = r.negative_prompt.value_or("");
  p.negative[1] = r.negative_prompt_2.value_or(p.negative[0]);
  return p;
}

int side(int asked, int native, FieldName field, int unit) {
  const int pixels = asked == 0 ? native : asked;
  if (pixels <= 0 || pixels % unit != 0)
    fail(ErrorCode::invalid_argument, "{} is {}: give a number divisible by {}, such as {}", field, pixels, unit,
         (pixels / unit + 1) * unit);
  return pixels;
}

// Embeddings are of prompts already.
void check_prompt_embeds(const Request& r) {
  if (r.prompt_embeds.empty()) return;
  const std::pair<bool, FieldName> given[] = {{!r.prompt.empty(), {"prompt"}},
                                              {r.prompt_2.has_value(), {"prompt_2"}},
                                              {r.negative_prompt.has_value(), {"negative_prompt"}},
                                              {r.negative_prompt_2.has_value(), {"negative_prompt_2"}},
                                              {r.clip_skip.has_value(), {"clip_skip"}},
                                              {!r.textual_inversion.empty(), {"textual_inversion"}}};
  for (const auto& [is_given, field] : given)
    if (is_given)
      fail(ErrorCode::invalid_argument,
           "{} and {} are both given, but the embeddings were made from prompts: leave {} out, or make the embeddings "
           "with it",
           field, FieldName{"prompt_embeds"}, field);
}

}  // namespace

ResolvedRequest resolve(const Request& request, const ModelConfig& model, const SchedulerSource& scheduler,
                        const RequestDefaults& defaults) {
  if (model.requires_aesthetics_score)
    fail(ErrorCode::invalid_argument,
         "this model is a refiner, which works on a picture that a base model began: give an SDXL base model");
  if (model.unet.in_channels != model.vae.latent_channels)
    fail(ErrorCode::invalid_argument,
         "this model reads {} channels (inpainting or the like), text to picture needs {}: give an SDXL base model",
         model.unet.in_channels, model.vae.latent_channels);
  check_prompt_embeds(request);
  ResolvedRequest out;
  out.request = request;
  Request& r = out.request;
  const int unit = model.vae.scale();
  const int native = model.unet.sample_size * unit;
  r.width = side(r.width, native, {"width"}, unit);
  r.height = side(r.height, native, {"height"}, unit);
  if (static_cast<int64_t>(r.width) * r.height > kMaxPixels)
    fail(ErrorCode::invalid_argument, "{}x{} is more than {} pixels: give a smaller {} or {}", r.width, r.height,
         kMaxPixels, FieldName{"width"}, FieldName{"height"});
  out.latent_width = r.width / unit;
  out.latent_height = r.height / unit;
  const ScheduleOptions options = schedule_options(r, defaults.num_inference_steps);
  r.guidance_scale = r.guidance_scale.value_or(defaults.guidance_scale);
  if (r.num_images_per_prompt < 1)
    fail(ErrorCode::invalid_argument, "{} is {}: give a number of pictures, 1 or more",
         FieldName{"num_images_per_prompt"}, r.num_images_per_prompt);
  const std::array<int, 2> size{r.width, r.height};
  if (!r.original_size) r.original_size = size;
  if (!r.target_size) r.target_size = size;
  // 32 bits are enough for distinct pictures, and short in a file name.
  if (!r.seed) r.seed = std::random_device{}();

  out.prompts = prompts_of(r, model.force_zeros_for_empty_prompt);
  out.guidance = *r.guidance_scale > 1 && model.unet.time_cond_proj_dim == 0;
  out.guidance_rescale = out.guidance && r.guidance_rescale > 0;
  out.scheduler_config = choose_scheduler(r, scheduler, out.scheduler);
  out.schedule = make_schedule(out.scheduler_config, options);
  if (r.denoising_end) out.schedule = truncate(std::move(out.schedule), *r.denoising_end);
  if (out.schedule.evaluations.empty())
    fail(ErrorCode::invalid_argument, "{} {} leaves no step: give a larger fraction or a larger {}",
         FieldName{"denoising_end"}, *r.denoising_end, FieldName{"num_inference_steps"});
  return out;
}

}  // namespace tempera
