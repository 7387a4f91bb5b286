#include "pipeline/resolve.h"

#include <algorithm>
#include <random>

#include "base/error.h"
#include "base/json.h"
#include "sampling/names.h"

namespace tempera {
namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 26;  // 8192 x 8192: tensors stay within the kernels' 32-bit strides

// diffusers' defaults of StableDiffusionXLImg2ImgPipeline and StableDiffusionXLInpaintPipeline.
constexpr double kStrength = 0.3, kStrengthOfMask = 0.9999;

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

Prompts prompts_of(const Request& r) {
  Prompts p;
  p.positive[0] = r.prompt;
  p.positive[1] = r.prompt_2.value_or(r.prompt);
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

// Latents are those of a picture if a field says where in the schedule they are; else they are noise.
bool from_latents(const Request& r) {
  return !r.latents.empty() && (r.strength || r.denoising_start);
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

// Whether this model can draw from these inputs.
void check_model(const Request& r, const ModelConfig& model, const RequestInputs& inputs) {
  const bool from_picture = inputs.pictures || !r.latents.empty();
  if (model.requires_aesthetics_score && !from_picture)
    fail(ErrorCode::invalid_argument,
         "this model is a refiner, which works on a picture that a base model began: give it to a base model as {}, or "
         "give {} or {}",
         FieldName{"refiner"}, FieldName{"init_image"}, FieldName{"latents"});
  const int channels = model.unet.in_channels, latent = model.vae.latent_channels;
  if (channels == 2 * latent + 1) {
    if (!inputs.masks)
      fail(ErrorCode::invalid_argument, "this model is for inpainting, it reads {} channels: give {} and {}", channels,
           FieldName{"init_image"}, FieldName{"mask_image"});
  } else if (channels != latent) {
    fail(ErrorCode::invalid_argument,
         "this model reads {} channels, which is neither text to picture ({}) nor inpainting ({}): give an SDXL model",
         channels, latent, 2 * latent + 1);
  }
  if (channels != latent && r.mask_mode == "soft")
    fail(ErrorCode::invalid_argument,
         "{} is soft, but this model reads a mask that is hard: leave {} out, or give a "
         "model for text to picture",
         FieldName{"mask_mode"}, FieldName{"mask_mode"});
  if (inputs.refiner == nullptr) return;
  if (!inputs.refiner->requires_aesthetics_score && inputs.refiner->text_encoder != model.text_encoder)
    fail(ErrorCode::invalid_argument, "the model of {} reads other text features than this one: give an SDXL refiner",
         FieldName{"refiner"});
  if (inputs.refiner->unet.in_channels != channels || inputs.refiner->vae.latent_channels != latent)
    fail(ErrorCode::invalid_argument, "the model of {} reads {} channels, this one {}: give an SDXL refiner",
         FieldName{"refiner"}, inputs.refiner->unet.in_channels, channels);
  if (inputs.refiner->text_encoder_2.hidden_size != model.text_encoder_2.hidden_size)
    fail(ErrorCode::invalid_argument,
         "the model of {} reads text features of width {}, the second text encoder of this model makes {}: give an "
         "SDXL refiner",
         FieldName{"refiner"}, inputs.refiner->text_encoder_2.hidden_size, model.text_encoder_2.hidden_size);
}

// Fields that need another field.
void check_fields(const Request& r, const RequestInputs& inputs) {
  const bool from_picture = inputs.pictures || !r.latents.empty();
  if (r.latents_index && r.latents.empty())
    fail(ErrorCode::invalid_argument, "{} is {}, but there is no file: give {}, or leave {} out",
         FieldName{"latents_index"}, *r.latents_index, FieldName{"latents"}, FieldName{"latents_index"});
  if (r.strength && r.denoising_start)
    fail(ErrorCode::invalid_argument, "{} and {} are both given: give one of them", FieldName{"strength"},
         FieldName{"denoising_start"});
  for (const auto& [is_given, field] :
       {std::pair(r.strength.has_value(), FieldName{"strength"}), {r.denoising_start.has_value(), {"denoising_start"}}})
    if (is_given && !from_picture)
      fail(ErrorCode::invalid_argument, "{} is for a picture to start from: give {} or {}, or leave {} out", field,
           FieldName{"init_image"}, FieldName{"latents"}, field);
  if (r.denoising_start && r.denoising_end && *r.denoising_start >= *r.denoising_end)
    fail(ErrorCode::invalid_argument, "{} {} is not below {} {}: give a smaller {}", FieldName{"denoising_start"},
         *r.denoising_start, FieldName{"denoising_end"}, *r.denoising_end, FieldName{"denoising_start"});
  const bool second = r.hires_size || r.hires_scale > 1;
  if (r.hires_size && r.hires_scale > 1)
    fail(ErrorCode::invalid_argument, "{} and {} are both given: give one of them", FieldName{"hires_size"},
         FieldName{"hires_scale"});
  if (second && inputs.masks)
    fail(ErrorCode::invalid_argument, "{} does not work with {}: leave one of them out",
         FieldName{r.hires_size ? "hires_size" : "hires_scale"},
         FieldName{r.mask_image.empty() ? "extend" : "mask_image"});
  if (r.denoising_end && (second || inputs.refiner != nullptr))
    fail(ErrorCode::invalid_argument, "{} ends the only loop of a request: leave {} out", FieldName{"denoising_end"},
         FieldName{second ? (r.hires_size ? "hires_size" : "hires_scale") : "refiner"});
}

void check_size(int width, int height, FieldName first, FieldName second) {
  if (static_cast<int64_t>(width) * height > kMaxPixels)
    fail(ErrorCode::invalid_argument, "{}x{} is more than {} pixels: give a smaller {} or {}", width, height,
         kMaxPixels, first, second);
}

// Width and height of the first loop.
void set_size(Request& r, const ModelConfig& model, const RequestInputs& inputs) {
  const int unit = model.vae.scale(), native = model.unet.sample_size * unit;
  const auto& own = inputs.size;
  if (inputs.fixed_size && ((r.width != 0 && r.width != own[0]) || (r.height != 0 && r.height != own[1])))
    fail(ErrorCode::invalid_argument, "the latents of '{}' are for pictures of {}x{}: leave {} and {} out", r.latents,
         own[0], own[1], FieldName{"width"}, FieldName{"height"});
  r.width = side(r.width, own[0] == 0 ? native : own[0], {"width"}, unit);
  r.height = side(r.height, own[1] == 0 ? native : own[1], {"height"}, unit);
  check_size(r.width, r.height, {"width"}, {"height"});
}

}  // namespace

bool ResolvedRequest::encodes_negative() const {
  return std::ranges::any_of(loops, [](const Loop& loop) { return loop.guidance && !loop.zero_negative; });
}

ResolvedRequest resolve(const Request& request, const ModelConfig& model, const SchedulerSource& scheduler,
                        const RequestDefaults& defaults, const RequestInputs& inputs) {
  if (!inputs.only_prompts) {
    check_model(request, model, inputs);
    check_fields(request, inputs);
  }
  check_prompt_embeds(request);
  ResolvedRequest out;
  out.request = request;
  Request& r = out.request;
  set_size(r, model, inputs);
  const ScheduleOptions options = schedule_options(r, defaults.num_inference_steps);
  r.guidance_scale = r.guidance_scale.value_or(defaults.guidance_scale);
  if (r.num_images_per_prompt < 1)
    fail(ErrorCode::invalid_argument, "{} is {}: give a number of pictures, 1 or more",
         FieldName{"num_images_per_prompt"}, r.num_images_per_prompt);
  r.num_images_per_prompt = std::max(r.num_images_per_prompt, static_cast<int>(inputs.images));
  if (inputs.pictures && !r.denoising_start && !r.strength) r.strength = inputs.masks ? kStrengthOfMask : kStrength;
  // 32 bits are enough for distinct pictures, and short in a file name.
  if (!r.seed) r.seed = std::random_device{}();

  out.prompts = prompts_of(r);
  out.scheduler_config = choose_scheduler(r, scheduler, out.scheduler);
  const LoopInputs loop_inputs{&model,       inputs.refiner, inputs.pictures || from_latents(r),
                               inputs.masks, r.width,        r.height};
  out.loops = make_loops(r, loop_inputs, out.scheduler_config, options);
  for (const Loop& loop : out.loops) {
    const bool sized = r.hires_size.has_value();
    side(loop.width, 0, {sized ? "hires_size" : "hires_scale"}, model.vae.scale());
    side(loop.height, 0, {sized ? "hires_size" : "hires_scale"}, model.vae.scale());
    check_size(loop.width, loop.height, {"hires_size"}, {"hires_scale"});
  }
  return out;
}

}  // namespace tempera
