#include "pipeline/resolve.h"

#include <random>

#include "base/error.h"
#include "base/json.h"
#include "sampling/config.h"

namespace tempera {
namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 26;  // 8192 x 8192: tensors stay within the kernels' 32-bit strides

SchedulerConfig choose_scheduler(const Request& r, const SchedulerSource& source, std::string& name) {
  SchedulerConfig own = parse_scheduler_config(source.json, source.origin);
  if (!r.scheduler.empty() && !r.scheduler_config.empty())
    fail(ErrorCode::invalid_argument, "{} and {} are both given: give one of them", FieldName{"scheduler"},
         FieldName{"scheduler_config"});
  if (!r.scheduler_config.empty()) {
    name = r.scheduler_config;
    return parse_scheduler_config(read_text_file(r.scheduler_config, 1 << 20), r.scheduler_config);
  }
  if (!r.scheduler.empty()) {
    name = r.scheduler;
    return scheduler_config(r.scheduler, own);
  }
  name = own.class_name;
  return own;
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
                                              {r.clip_skip.has_value(), {"clip_skip"}}};
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
  const int steps = r.num_inference_steps.value_or(defaults.num_inference_steps);
  r.num_inference_steps = steps;
  if (steps < 1)
    fail(ErrorCode::invalid_argument, "{} is {}: give a number of steps from 1 to 10000",
         FieldName{"num_inference_steps"}, steps);
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
  out.schedule = make_schedule(out.scheduler_config, steps);
  if (r.denoising_end) out.schedule = truncate(std::move(out.schedule), *r.denoising_end);
  if (out.schedule.evaluations.empty())
    fail(ErrorCode::invalid_argument, "{} {} leaves no step: give a larger fraction or a larger {}",
         FieldName{"denoising_end"}, *r.denoising_end, FieldName{"num_inference_steps"});
  return out;
}

}  // namespace tempera
