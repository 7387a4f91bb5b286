// The only list of options. A field is a line: names, help, and two functions that write and read its member.
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "tempera/request.h"

namespace tempera {
namespace {

[[noreturn]] void refuse(std::string_view field, std::string_view text, std::string_view allowed) {
  fail(ErrorCode::invalid_argument, "{} is '{}': give {}", FieldName{field}, text, allowed);
}

// The number that is all of the text, if it is within [least, most].
template <class T>
std::optional<T> parsed(std::string_view text, T least, T most) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_number = error == std::errc() && end == text.data() + text.size();
  return is_number && value >= least && value <= most ? std::optional(value) : std::nullopt;
}

template <class T>
T number(std::string_view field, std::string_view text, T least, T most, std::string_view allowed) {
  const std::optional<T> value = parsed(text, least, most);
  if (!value) refuse(field, text, allowed);
  return *value;
}

// "A<separator>B", both within [least, most].
std::array<int, 2> pair(std::string_view field, std::string_view text, char separator, int least,
                        std::string_view allowed) {
  const size_t at = text.find(separator);
  if (at == std::string_view::npos) refuse(field, text, allowed);
  return {number(field, text.substr(0, at), least, 1 << 16, allowed),
          number(field, text.substr(at + 1), least, 1 << 16, allowed)};
}

// Numbers between commas, each within [least, most].
template <class T>
std::vector<T> list(std::string_view field, std::string_view text, T least, T most, std::string_view allowed) {
  std::vector<T> values;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    std::string_view one = text.substr(begin, end - begin);
    begin = end + 1;
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    const std::optional<T> value = parsed(one, least, most);
    if (!value) refuse(field, text, allowed);
    values.push_back(*value);
  }
  return values;
}

std::string join(const std::array<int, 2>& values, char separator) {
  return fmt::format("{}{}{}", values[0], separator, values[1]);
}

std::optional<std::string> shown(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}
std::optional<std::string> shown(const std::optional<std::string>& text) {
  return text;
}
template <class T>
std::optional<std::string> shown(const std::vector<T>& values) {
  return values.empty() ? std::nullopt : std::optional(fmt::format("{}", fmt::join(values, ",")));
}
template <class T>
std::optional<std::string> shown(const std::optional<T>& value) {
  return value ? std::optional(fmt::format("{}", *value)) : std::nullopt;
}

using R = Request;
using E = EngineOptions;
using Text = std::string_view;
using Shown = std::optional<std::string>;
constexpr FieldGroup kRequest = FieldGroup::request, kEngine = FieldGroup::engine;
constexpr FieldTrait kNone = FieldTrait::none, kOpensModel = FieldTrait::opens_model,
                     kEncodes = FieldTrait::encodes_text, kShapes = FieldTrait::shapes_programs,
                     kCondition = FieldTrait::condition, kInMetadata = FieldTrait::in_metadata,
                     kForPlansOnly = FieldTrait::for_plans_only, kRepeats = FieldTrait::repeats,
                     kAlways = kEncodes | kShapes | kCondition;

void choose(std::string& member, Text field, Text text, std::initializer_list<Text> choices, Text allowed) {
  for (Text choice : choices)
    if (text == choice) {
      member = text;
      return;
    }
  refuse(field, text, allowed);
}

void add_lines(std::vector<std::string>& values, Text text) {
  for (; !text.empty(); text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1))
    values.emplace_back(text.substr(0, text.find('\n')));
}

Shown shown(const std::vector<std::string>& values) {
  return values.empty() ? Shown() : fmt::format("{}", fmt::join(values, "\n"));
}

constexpr Text kSize = "a size as WIDTHxHEIGHT, such as 1024x1024";
constexpr Text kSide = "a number of pixels divisible by 8, such as 1024";

int side(Text field, Text text) {
  const int value = number(field, text, 8, 1 << 16, kSide);
  if (value % 8 != 0) refuse(field, text, kSide);
  return value;
}

// clang-format off
constexpr Field kFields[] = {
    {"prompt", "--prompt", "TEXT", "what the picture shows", kRequest, kEncodes | kCondition,
     [](R& r, E&, Text t) { r.prompt = t; },
     [](const R& r, const E&) -> Shown { return r.prompt; }},
    {"prompt_2", "--prompt-2", "TEXT", "prompt for the second text encoder (default: the prompt)", kRequest, kEncodes | kInMetadata,
     [](R& r, E&, Text t) { r.prompt_2 = t; },
     [](const R& r, const E&) { return shown(r.prompt_2); }},
    {"negative_prompt", "--negative-prompt", "TEXT", "what the picture must not show", kRequest, kEncodes | kCondition,
     [](R& r, E&, Text t) { r.negative_prompt = t; },
     [](const R& r, const E&) { return shown(r.negative_prompt); }},
    {"negative_prompt_2", "--negative-prompt-2", "TEXT", "negative prompt for the second text encoder (default: the negative prompt)", kRequest, kEncodes | kInMetadata,
     [](R& r, E&, Text t) { r.negative_prompt_2 = t; },
     [](const R& r, const E&) { return shown(r.negative_prompt_2); }},
    {"prompt_embeds", "--prompt-embeds", "FILE", "file of embeddings instead of prompts; no text encoder is opened", kRequest, kNone,
     [](R& r, E&, Text t) { r.prompt_embeds = t; },
     [](const R& r, const E&) { return shown(r.prompt_embeds); }},
    {"width", "--width", "PIXELS", "width, divisible by 8 (default: the model's)", kRequest, kShapes | kCondition,
     [](R& r, E&, Text t) { r.width = side("width", t); },
     [](const R& r, const E&) -> Shown { return r.width == 0 ? Shown() : fmt::format("{}", r.width); }},
    {"height", "--height", "PIXELS", "height, divisible by 8 (default: the model's)", kRequest, kShapes | kCondition,
     [](R& r, E&, Text t) { r.height = side("height", t); },
     [](const R& r, const E&) -> Shown { return r.height == 0 ? Shown() : fmt::format("{}", r.height); }},
    {"num_inference_steps", "--steps", "N", "denoising steps (default: the model's own, else 50)", kRequest, kShapes | kCondition,
     [](R& r, E&, Text t) { r.num_inference_steps = number("num_inference_steps", t, 1, 10000, "a number of steps from 1 to 10000"); },
     [](const R& r, const E&) { return shown(r.num_inference_steps); }},
    {"guidance_scale", "--guidance-scale", "X", "strength of the prompt; 1 turns guidance off and halves the work (default: the model's own, else 5)", kRequest, kShapes | kCondition,
     [](R& r, E&, Text t) { r.guidance_scale = number("guidance_scale", t, 0.0, 1000.0, "a number from 0 to 1000"); },
     [](const R& r, const E&) { return shown(r.guidance_scale); }},
    {"guidance_rescale", "--guidance-rescale", "X", "rescale guided predictions against overexposure (0 to 1)", kRequest, kShapes | kCondition | kInMetadata,
     [](R& r, E&, Text t) { r.guidance_rescale = number("guidance_rescale", t, 0.0, 1.0, "a number from 0 to 1"); },
     [](const R& r, const E&) -> Shown { return fmt::format("{}", r.guidance_rescale); }},
    {"seed", "--seed", "N", "seed of the first picture; picture i has seed + i (default: drawn at random)", kRequest, kCondition,
     [](R& r, E&, Text t) { r.seed = number<uint64_t>("seed", t, 0, UINT64_MAX, "a whole number from 0 to 2^64 - 1"); },
     [](const R& r, const E&) { return shown(r.seed); }},
    {"rng", "--rng", "cpu|cuda", "PyTorch's noise generator: that of the CPU or that of an NVIDIA card; works on every device", kRequest, kNone,
     [](R& r, E&, Text t) { choose(r.rng, "rng", t, {"cpu", "cuda"}, "cpu or cuda"); },
     [](const R& r, const E&) -> Shown { return r.rng; }},
    {"num_images_per_prompt", "--images", "N", "number of pictures", kRequest, kShapes | kCondition,
     [](R& r, E&, Text t) { r.num_images_per_prompt = number("num_images_per_prompt", t, 1, 10000, "a number of pictures from 1 to 10000"); },
     [](const R& r, const E&) -> Shown { return fmt::format("{}", r.num_images_per_prompt); }},
    {"clip_skip", "--clip-skip", "N", "number of last layers of the text encoders to skip, in addition to the one that SDXL always skips", kRequest, kEncodes,
     [](R& r, E&, Text t) { r.clip_skip = number("clip_skip", t, 0, 64, "a number of layers from 0 to 64"); },
     [](const R& r, const E&) { return shown(r.clip_skip); }},
    {"original_size", "--original-size", "WxH", "original size in the conditioning of the model (default: the size of the picture)", kRequest, kInMetadata,
     [](R& r, E&, Text t) { r.original_size = pair("original_size", t, 'x', 1, kSize); },
     [](const R& r, const E&) -> Shown { return r.original_size ? Shown(join(*r.original_size, 'x')) : Shown(); }},
    {"target_size", "--target-size", "WxH", "target size in the conditioning of the model (default: the size of the picture)", kRequest, kInMetadata,
     [](R& r, E&, Text t) { r.target_size = pair("target_size", t, 'x', 1, kSize); },
     [](const R& r, const E&) -> Shown { return r.target_size ? Shown(join(*r.target_size, 'x')) : Shown(); }},
    {"crops_coords_top_left", "--crops-coords-top-left", "X,Y", "top left corner of the crop in the conditioning of the model", kRequest, kInMetadata,
     [](R& r, E&, Text t) { r.crops_coords_top_left = pair("crops_coords_top_left", t, ',', 0, "two numbers as X,Y, such as 0,0"); },
     [](const R& r, const E&) -> Shown { return join(r.crops_coords_top_left, ','); }},
    {"denoising_end", "--denoising-end", "X", "stop after this fraction of the schedule (0 to 1)", kRequest, kInMetadata,
     [](R& r, E&, Text t) { r.denoising_end = number("denoising_end", t, 0.0, 1.0, "a fraction from 0 to 1"); },
     [](const R& r, const E&) { return shown(r.denoising_end); }},
    {"scheduler", "--scheduler", "NAME", "name of a sampler, also as in other programs: dpmpp_2m_karras or DPM++ 2M Karras (default: the model's own)", kRequest, kShapes | kCondition | kInMetadata,
     [](R& r, E&, Text t) { r.scheduler = t; },
     [](const R& r, const E&) { return shown(r.scheduler); }},
    {"scheduler_config", "--scheduler-config", "FILE", "sampler from a diffusers scheduler_config.json, or its text", kRequest, kNone,
     [](R& r, E&, Text t) { r.scheduler_config = t; },
     [](const R& r, const E&) { return shown(r.scheduler_config); }},
    {"schedule", "--schedule", "NAME", "spacing of the sampler's sigmas: automatic (as A1111's web UI chooses for the sampler), uniform (the sampler's own), karras, exponential, normal, simple, sgm_uniform, ddim_uniform, beta, kl_optimal or align_your_steps (default: that of `scheduler`, else uniform)", kRequest, kShapes | kCondition | kInMetadata,
     [](R& r, E&, Text t) { r.schedule = t; },
     [](const R& r, const E&) { return shown(r.schedule); }},
    {"timesteps", "--timesteps", "T,T,...", "timesteps of the steps instead of `num_inference_steps`, decreasing, for samplers that accept them", kRequest, kShapes | kInMetadata,
     [](R& r, E&, Text t) { r.timesteps = list("timesteps", t, 0, 9999, "whole numbers from 0 to 9999 between commas, such as 999,666,333"); },
     [](const R& r, const E&) { return shown(r.timesteps); }},
    {"sigmas", "--sigmas", "S,S,...", "noise levels instead of `num_inference_steps`: one for each step, decreasing, then the final one, usually 0; for samplers that accept them", kRequest, kShapes | kInMetadata,
     [](R& r, E&, Text t) { r.sigmas = list("sigmas", t, 0.0, 1e6, "numbers from 0 to 1e6 between commas, such as 14.6,2.1,0"); },
     [](const R& r, const E&) { return shown(r.sigmas); }},
    {"eta", "--eta", "X", "share of new noise in every step (0 to 1), for samplers that use it, such as ddim", kRequest, kInMetadata,
     [](R& r, E&, Text t) { r.eta = number("eta", t, 0.0, 1.0, "a number from 0 to 1"); },
     [](const R& r, const E&) { return shown(r.eta); }},
    {"lora", "--lora", "FILE|NAME[:W[:TEXT_W]]", "a LoRA or a similar adapter (LoHa, LoKr, DoRA and others); W is its weight for the UNet (default: 1), TEXT_W its weight for the text encoders (default: W); may be given several times", kRequest, kEncodes | kCondition | kRepeats,
     [](R& r, E&, Text t) { add_lines(r.lora, t); },
     [](const R& r, const E&) { return shown(r.lora); }},
    {"textual_inversion", "--textual-inversion", "FILE|NAME[:WORD]", "a file of an embedding, and the word for it in the prompts (default: the name of the file); may be given several times", kRequest, kEncodes | kCondition | kRepeats,
     [](R& r, E&, Text t) { add_lines(r.textual_inversion, t); },
     [](const R& r, const E&) { return shown(r.textual_inversion); }},
    {"init_image", "--init-image", "FILE", "picture to start from (PNG, JPEG or WebP); may be given several times: one for each picture", kRequest, kShapes | kRepeats,
     [](R& r, E&, Text t) { add_lines(r.init_image, t); },
     [](const R& r, const E&) { return shown(r.init_image); }},
    {"mask_image", "--mask-image", "FILE", "mask of the picture of `init_image`: white is painted; may be given several times: one for each picture", kRequest, kShapes | kRepeats,
     [](R& r, E&, Text t) { add_lines(r.mask_image, t); },
     [](const R& r, const E&) { return shown(r.mask_image); }},
    {"strength", "--strength", "X", "how much of the schedule runs on the picture of `init_image` (0 to 1; default 0.3, with `mask_image` 0.9999)", kRequest, kShapes,
     [](R& r, E&, Text t) { r.strength = number("strength", t, 0.0, 1.0, "a number from 0 to 1"); },
     [](const R& r, const E&) { return shown(r.strength); }},
    {"denoising_start", "--denoising-start", "X", "start at this fraction of the schedule (0 to 1), without new noise; for `latents` of a model that ended there", kRequest, kShapes | kInMetadata,
     [](R& r, E&, Text t) { r.denoising_start = number("denoising_start", t, 0.0, 1.0, "a fraction from 0 to 1"); },
     [](const R& r, const E&) { return shown(r.denoising_start); }},
    {"latents", "--latents", "FILE", "a .safetensors file of latents (written by an output of that name): noise to start from, or with `strength` or `denoising_start` those of a picture", kRequest, kShapes,
     [](R& r, E&, Text t) { r.latents = t; },
     [](const R& r, const E&) { return shown(r.latents); }},
    {"latents_index", "--latents-index", "N", "use only this picture of the file of `latents`, counted from 0 (default: all of them)", kRequest, kInMetadata,
     [](R& r, E&, Text t) { r.latents_index = number("latents_index", t, 0, 9999, "a number from 0 to 9999"); },
     [](const R& r, const E&) { return shown(r.latents_index); }},
    {"resize_mode", "--resize-mode", "default|crop|fill", "how a picture of another shape is brought to the size: stretched, cut, or whole with repeated edges", kRequest, kInMetadata,
     [](R& r, E&, Text t) { choose(r.resize_mode, "resize_mode", t, {"default", "crop", "fill"}, "default, crop or fill"); },
     [](const R& r, const E&) -> Shown { return r.resize_mode; }},
    {"mask_mode", "--mask-mode", "hard|soft", "hard cuts the mask at half; soft lets its grey decide from which step a pixel is free", kRequest, kInMetadata,
     [](R& r, E&, Text t) { choose(r.mask_mode, "mask_mode", t, {"hard", "soft"}, "hard or soft"); },
     [](const R& r, const E&) -> Shown { return r.mask_mode; }},
    {"mask_blur", "--mask-blur", "PIXELS", "radius of a blur of the mask", kRequest, kNone,
     [](R& r, E&, Text t) { r.mask_blur = number("mask_blur", t, 0, 1024, "a number of pixels from 0 to 1024"); },
     [](const R& r, const E&) -> Shown { return fmt::format("{}", r.mask_blur); }},
    {"padding_mask_crop", "--padding-mask-crop", "PIXELS", "draw only the region of the mask, with this margin, and paste it back", kRequest, kShapes | kInMetadata,
     [](R& r, E&, Text t) { r.padding_mask_crop = number("padding_mask_crop", t, 0, 8192, "a number of pixels from 0 to 8192"); },
     [](const R& r, const E&) { return shown(r.padding_mask_crop); }},
    {"inpaint_fill", "--inpaint-fill", "original|noise|blur", "the start under the mask: the picture, noise, or its blurred surroundings", kRequest, kInMetadata,
     [](R& r, E&, Text t) { choose(r.inpaint_fill, "inpaint_fill", t, {"original", "noise", "blur"}, "original, noise or blur"); },
     [](const R& r, const E&) -> Shown { return r.inpaint_fill; }},
    {"extend", "--extend", "LEFT,TOP,RIGHT,BOTTOM", "paint outside of the picture of `init_image`: pixels to add on each side", kRequest, kShapes | kInMetadata,
     [](R& r, E&, Text t) {
       const std::vector<int> sides = list("extend", t, 0, 8192, "four numbers of pixels as LEFT,TOP,RIGHT,BOTTOM, such as 0,0,256,0");
       if (sides.size() != r.extend.size()) refuse("extend", t, "four numbers of pixels as LEFT,TOP,RIGHT,BOTTOM, such as 0,0,256,0");
       std::ranges::copy(sides, r.extend.begin());
     },
     [](const R& r, const E&) -> Shown { return fmt::format("{}", fmt::join(r.extend, ",")); }},
    {"sample_seed", "--sample-seed", "N", "inpainting: seed of the generator that samples the encoded picture (default: `seed`)", kRequest, kInMetadata,
     [](R& r, E&, Text t) { r.sample_seed = number<uint64_t>("sample_seed", t, 0, UINT64_MAX, "a whole number from 0 to 2^64 - 1"); },
     [](const R& r, const E&) { return shown(r.sample_seed); }},
    {"paste", "--paste", "auto|on|off", "on: pixels under black mask are those of the input; auto: on with `padding_mask_crop`", kRequest, kInMetadata,
     [](R& r, E&, Text t) { choose(r.paste, "paste", t, {"auto", "on", "off"}, "auto, on or off"); },
     [](const R& r, const E&) -> Shown { return r.paste; }},
    {"aesthetic_score", "--aesthetic-score", "X", "aesthetic score that a refiner reads", kRequest, kInMetadata,
     [](R& r, E&, Text t) { r.aesthetic_score = number("aesthetic_score", t, 0.0, 100.0, "a number from 0 to 100"); },
     [](const R& r, const E&) -> Shown { return fmt::format("{}", r.aesthetic_score); }},
    {"negative_aesthetic_score", "--negative-aesthetic-score", "X", "aesthetic score that a refiner reads with the negative prompt", kRequest, kInMetadata,
     [](R& r, E&, Text t) { r.negative_aesthetic_score = number("negative_aesthetic_score", t, 0.0, 100.0, "a number from 0 to 100"); },
     [](const R& r, const E&) -> Shown { return fmt::format("{}", r.negative_aesthetic_score); }},
    {"refiner_start", "--refiner-start", "X", "fraction of the schedule from which `refiner` draws (default 0.8)", kRequest, kShapes,
     [](R& r, E&, Text t) { r.refiner_start = number("refiner_start", t, 0.0, 1.0, "a fraction from 0 to 1"); },
     [](const R& r, const E&) { return shown(r.refiner_start); }},
    {"output_type", "--output-type", "image|latent", "latent: the result is the latents; nothing is decoded", kRequest, kShapes,
     [](R& r, E&, Text t) { choose(r.output_type, "output_type", t, {"image", "latent"}, "image or latent"); },
     [](const R& r, const E&) -> Shown { return r.output_type; }},
    {"hires_scale", "--hires-scale", "X", "draw again at this many times the size, from the enlarged picture", kRequest, kShapes,
     [](R& r, E&, Text t) { r.hires_scale = number("hires_scale", t, 1.0, 16.0, "a number from 1 to 16"); },
     [](const R& r, const E&) -> Shown { return fmt::format("{}", r.hires_scale); }},
    {"hires_size", "--hires-size", "WxH", "draw again at this size, instead of `hires_scale`", kRequest, kShapes,
     [](R& r, E&, Text t) { r.hires_size = pair("hires_size", t, 'x', 8, kSize); },
     [](const R& r, const E&) -> Shown { return r.hires_size ? Shown(join(*r.hires_size, 'x')) : Shown(); }},
    {"hires_strength", "--hires-strength", "X", "how much of the schedule the second pass runs (0 to 1)", kRequest, kShapes,
     [](R& r, E&, Text t) { r.hires_strength = number("hires_strength", t, 0.0, 1.0, "a number from 0 to 1"); },
     [](const R& r, const E&) -> Shown { return fmt::format("{}", r.hires_strength); }},
    {"hires_steps", "--hires-steps", "N", "steps of the schedule of the second pass, of which `hires_strength` runs (default: as `num_inference_steps`)", kRequest, kShapes,
     [](R& r, E&, Text t) { r.hires_steps = number("hires_steps", t, 1, 10000, "a number of steps from 1 to 10000"); },
     [](const R& r, const E&) { return shown(r.hires_steps); }},
    {"hires_upscaler", "--hires-upscaler", "NAME", "how the second pass enlarges: latent-nearest, latent-bilinear, latent-bicubic, or lanczos (the decoded picture)", kRequest, kShapes,
     [](R& r, E&, Text t) { choose(r.hires_upscaler, "hires_upscaler", t, {"latent-nearest", "latent-bilinear", "latent-bicubic", "lanczos"}, "latent-nearest, latent-bilinear, latent-bicubic or lanczos"); },
     [](const R& r, const E&) -> Shown { return r.hires_upscaler; }},
    {"model", "--model", "MODEL", "a diffusers folder, a .safetensors or .gguf file, org/name[@revision] in the Hugging Face cache, or a name in the model folders, see the command 'tempera models' (default: the small model that comes with tempera)", kEngine, kOpensModel | kAlways,
     [](R&, E& e, Text t) { e.model = t; },
     [](const R&, const E& e) { return shown(e.model); }},
    {"models_dir", "--models-dir", "DIR", "a folder of models, or a tree of A1111, Forge or ComfyUI; may be given several times", kEngine, kOpensModel | kAlways | kRepeats,
     [](R&, E& e, Text t) { add_lines(e.models_dir, t); },
     [](const R&, const E& e) { return shown(e.models_dir); }},
    {"import_paths", "--import-paths", "FILE", "an extra_model_paths.yaml of ComfyUI, whose folders are searched too; may be given several times", kEngine, kOpensModel | kAlways | kRepeats,
     [](R&, E& e, Text t) { add_lines(e.import_paths, t); },
     [](const R&, const E& e) { return shown(e.import_paths); }},
    {"preset", "--preset", "NAME", "shapes of a known model, without its files (for plans and measurements)", kEngine, kShapes | kCondition | kForPlansOnly,
     [](R&, E& e, Text t) { e.preset = t; },
     [](const R&, const E& e) { return shown(e.preset); }},
    {"model_config", "--model-config", "DIR", "folder with diffusers configs, for a single file whose tensor shapes do not determine the model", kEngine, kOpensModel | kAlways,
     [](R&, E& e, Text t) { e.model_config = t; },
     [](const R&, const E& e) { return shown(e.model_config); }},
    {"tokenizer", "--tokenizer", "DIR", "folder with a vocabulary to use instead of the model's own (for single files: instead of CLIP's)", kEngine, kOpensModel | kAlways,
     [](R&, E& e, Text t) { e.tokenizer = t; },
     [](const R&, const E& e) { return shown(e.tokenizer); }},
    {"unet", "--unet", "PATH", "UNet to use instead of the model's own: a .safetensors or .gguf file, or a diffusers folder; the model's own UNet may be missing", kEngine, kOpensModel | kAlways,
     [](R&, E& e, Text t) { e.unet = t; },
     [](const R&, const E& e) { return shown(e.unet); }},
    {"unet_config", "--unet-config", "PATH", "config.json of the UNet of `unet`, or the folder that has it; needed if the tensor shapes do not determine the number of attention heads", kEngine, kOpensModel | kAlways,
     [](R&, E& e, Text t) { e.unet_config = t; },
     [](const R&, const E& e) { return shown(e.unet_config); }},
    {"refiner", "--refiner", "MODEL", "a model whose UNet draws the last part of the schedule, from `refiner_start` on", kEngine, kShapes | kCondition,
     [](R&, E& e, Text t) { e.refiner = t; },
     [](const R&, const E& e) { return shown(e.refiner); }},
    {"variant", "--variant", "NAME", "which weight files of a folder to use, such as fp16", kEngine, kOpensModel | kAlways,
     [](R&, E& e, Text t) { e.variant = t; },
     [](const R&, const E& e) { return shown(e.variant); }},
    {"device", "--device", "auto|cpu|cuda", "where to compute (default: the best available)", kEngine, kAlways,
     [](R&, E& e, Text t) { choose(e.device, "device", t, {"auto", "cpu", "cuda"}, "auto, cpu or cuda"); },
     [](const R&, const E& e) -> Shown { return e.device; }},
    {"dtype", "--dtype", "auto|fp32|bf16|fp16", "compute type (default: the best of the device)", kEngine, kEncodes | kShapes,
     [](R&, E& e, Text t) { choose(e.dtype, "dtype", t, {"auto", "fp32", "bf16", "fp16"}, "auto, fp32, bf16 or fp16"); },
     [](const R&, const E& e) -> Shown { return e.dtype; }},
    {"attention", "--attention", "flash|naive", "flash never stores the whole score matrix; naive does", kEngine, kEncodes | kShapes,
     [](R&, E& e, Text t) { choose(e.attention, "attention", t, {"flash", "naive"}, "flash or naive"); },
     [](const R&, const E& e) -> Shown { return e.attention; }},
    {"eager", "--eager", "", "run every operation of the model on its own, without fusing", kEngine, kEncodes | kShapes,
     [](R&, E& e, Text t) { e.eager = t != "false"; },
     [](const R&, const E& e) -> Shown { return e.eager ? Shown("true") : Shown(); }},
    {"offload", "--offload", "WHAT", "which parameters leave the device: auto (those of the text encoders, after use), none, model (those of every component, after use) or sequential (all: they are copied to the device again in every step)", kEngine, kNone,
     [](R&, E& e, Text t) { choose(e.offload, "offload", t, {"auto", "none", "model", "sequential"}, "auto, none, model or sequential"); },
     [](const R&, const E& e) -> Shown { return e.offload == "auto" ? Shown() : Shown(e.offload); }},
    {"memory_budget", "--memory-budget", "SIZE", "limit of memory: 6GiB, 80% of the free memory, or auto (all of it); chooses offloading and tiling, and tempera plan shows the choice", kEngine, kNone,
     [](R&, E& e, Text t) { e.memory_budget = t; },
     [](const R&, const E& e) { return shown(e.memory_budget); }},
    {"pinned_memory", "--pinned-memory", "SIZE", "limit of locked host memory for parameters that are copied to a card: 4GiB, 25% of the free memory, or auto (all of it); parameters that exceed it are packed from the file in every step (default 50%)", kEngine, kNone,
     [](R&, E& e, Text t) { e.pinned_memory = t; },
     [](const R&, const E& e) { return shown(e.pinned_memory); }},
    {"vae", "--vae", "PATH", "autoencoder instead of the model's own: a .safetensors file or a diffusers folder", kEngine, kOpensModel | kShapes | kCondition,
     [](R&, E& e, Text t) { e.vae = t; },
     [](const R&, const E& e) { return shown(e.vae); }},
    {"tiny_vae", "--tiny-vae", "PATH", "decode with a tiny autoencoder: a diffusers folder, a .safetensors file (TAESDXL), or 'model' for the one in the model's folder; with `memory_budget`, the tiny autoencoder of the model is also used if nothing else fits", kEngine, kCondition,
     [](R&, E& e, Text t) { e.tiny_vae = t; },
     [](const R&, const E& e) { return shown(e.tiny_vae); }},
    {"vae_dtype", "--vae-dtype", "auto|fp32|bf16|fp16", "compute type of the autoencoder (default: as `dtype`)", kEngine, kNone,
     [](R&, E& e, Text t) { choose(e.vae_dtype, "vae_dtype", t, {"auto", "fp32", "bf16", "fp16"}, "auto, fp32, bf16 or fp16"); },
     [](const R&, const E& e) -> Shown { return e.vae_dtype == "auto" ? Shown() : Shown(e.vae_dtype); }},
    {"vae_slicing", "--vae-slicing", "", "no effect: pictures are always decoded one at a time, so memory never grows with `num_images_per_prompt`", kEngine, kNone,
     [](R&, E&, Text) {},
     [](const R&, const E&) -> Shown { return {}; }},
    {"vae_tiling", "--vae-tiling", "", "decode in overlapping tiles that are blended; needs less memory", kEngine, kNone,
     [](R&, E& e, Text t) { e.vae_tiling = t != "false"; },
     [](const R&, const E& e) -> Shown { return e.vae_tiling ? Shown("true") : Shown(); }},
    {"vae_tile_size", "--vae-tile-size", "PIXELS", "side of a tile; turns `vae_tiling` on (default: the autoencoder's own size, halved until the picture has several tiles)", kEngine, kNone,
     [](R&, E& e, Text t) { e.vae_tile_size = number("vae_tile_size", t, 8, 1 << 16, "a number of pixels such as 512"); },
     [](const R&, const E& e) -> Shown { return e.vae_tile_size == 0 ? Shown() : fmt::format("{}", e.vae_tile_size); }},
    {"threads", "--threads", "N", "CPU threads (default: all cores)", kEngine, kAlways,
     [](R&, E& e, Text t) { e.threads = number("threads", t, 1, 4096, "a number of threads from 1 to 4096"); },
     [](const R&, const E& e) -> Shown { return e.threads == 0 ? Shown() : fmt::format("{}", e.threads); }},
};
// clang-format on

}  // namespace

std::span<const Field> request_fields() {
  return kFields;
}

}  // namespace tempera
