// A request for pictures, and the options of the engine that runs it. The names are those of diffusers'
// StableDiffusionXLPipeline. request_fields() describes every field once; the command line, --help, JSON and the
// metadata of pictures use this list.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tempera {

// One request for pictures. Every member has an initializer, so that a designated initializer may leave out members
// without a warning.
struct Request {
  std::string prompt = {};
  std::optional<std::string> prompt_2 = {};  // for the second text encoder; if absent: prompt
  // Absent is not the same as "": see diffusers' force_zeros_for_empty_prompt.
  std::optional<std::string> negative_prompt = {};
  std::optional<std::string> negative_prompt_2 = {};  // if absent: negative_prompt
  std::string prompt_embeds = {};  // a file of Pipeline::encode, instead of prompts; no text encoder is opened
  int width = 0, height = 0;       // pixels, divisible by 8; 0: the model's own size
  std::optional<int> num_inference_steps = {};  // if absent: the model's own, else 50
  std::optional<double> guidance_scale = {};    // if absent: the model's own, else 5; guidance is on above 1
  double guidance_rescale = 0.0;
  std::optional<uint64_t> seed = {};  // of the first picture; picture i has seed + i; if absent: random
  std::string rng = "cpu";            // the noise of PyTorch's generator on "cpu" or "cuda"
  int num_images_per_prompt = 1;
  // The number of last layers of the text encoders to skip, in addition to the one that SDXL always skips.
  std::optional<int> clip_skip = {};
  std::optional<std::array<int, 2>> original_size = {};  // width, height; if absent: the picture's size
  std::optional<std::array<int, 2>> target_size = {};    // width, height; if absent: the picture's size
  std::array<int, 2> crops_coords_top_left = {0, 0};     // x, y
  std::optional<double> denoising_end = {};              // fraction of the schedule to run, 0 to 1
  std::string scheduler = {};                            // a sampler's name; empty: the model's own
  std::string scheduler_config = {};                     // a scheduler_config.json or its text; empty: the model's own
  std::string schedule = {};  // the spacing of the sampler's sigmas by name ("karras"); empty: the sampler's own
  // Custom timesteps or sigmas, instead of a number of steps. Give at most one of the two. The sampler must support it
  // (see diffusers' set_timesteps). Both lists are decreasing.
  std::vector<int> timesteps = {};
  std::vector<double> sigmas = {};  // one for each step, then the final one, usually 0
  std::optional<double> eta = {};   // share of new noise, for samplers that use it (ddim, tcd), 0 to 1; if absent: 0
  // Adapters of the UNet and the text encoders, applied in this order: "FILE|NAME[:UNET_WEIGHT[:TEXT_WEIGHT]]". Weights
  // are -100 to 100. If absent, UNET_WEIGHT is 1 and TEXT_WEIGHT is UNET_WEIGHT. Adapters change the parameters, so a
  // step is as fast as without them.
  std::vector<std::string> lora = {};
  // Embeddings for words of the prompts: "FILE|NAME[:WORD]". If absent, the word is the name of the file.
  std::vector<std::string> textual_inversion = {};

  // Pictures to start from (picture to picture): files. Picture i starts from file i modulo their number. At least as
  // many pictures are drawn as there are files.
  std::vector<std::string> init_image = {};
  // Masks for inpainting, one for all pictures or one for each of init_image. White parts are painted.
  std::vector<std::string> mask_image = {};
  // The part of the schedule that runs on a picture, 0 to 1: 1 replaces nearly all of it. If absent: 0.3, and 0.9999
  // with mask_image (diffusers' defaults).
  std::optional<double> strength = {};
  // The fraction of the schedule that is finished already, 0 to 1: the start has no new noise. For `latents` that
  // another model left at denoising_end.
  std::optional<double> denoising_start = {};
  // A file of latents (Image::latents, save_latents). Alone: the noise to start from. With strength or denoising_start:
  // the latents of a picture, instead of init_image.
  std::string latents = {};
  std::optional<int> latents_index = {};  // uses only this picture of that file, counted from 0
  // The way to bring init_image to the size of the pictures: "default" (stretched), "crop" (filled and cut) or "fill"
  // (whole, with repeated edges).
  std::string resize_mode = "default";
  std::string mask_mode = "hard";  // "hard": cut at 0.5; "soft": grey decides from which step a pixel is free
  int mask_blur = 0;               // radius of the blur of mask_image, in pixels of it
  // Draws only the region of the mask, with this margin in pixels of init_image, and pastes it back. The pictures then
  // have the size of init_image.
  std::optional<int> padding_mask_crop = {};
  std::string inpaint_fill = "original";  // under the mask at the start: "original", "noise" or "blur"
  // Outpainting: pixels to add on the left, at the top, on the right and at the bottom of init_image.
  std::array<int, 4> extend = {0, 0, 0, 0};
  // Inpainting: the seed of the generator that samples the encoded picture; if absent: that of the first picture. One
  // sample is used for all pictures that start from one file, as in diffusers.
  std::optional<uint64_t> sample_seed = {};
  std::string paste = "auto";  // pixels under black mask are those of init_image: "on", "off"; auto: on with a crop
  // What a refiner reads in addition to the prompts.
  double aesthetic_score = 6.0, negative_aesthetic_score = 2.5;
  std::optional<double> refiner_start = {};  // fraction of the schedule before EngineOptions::refiner; if absent: 0.8
  std::string output_type = "image";         // "latent": the result has latents and no pixels
  // A second pass at a larger size. hires_scale 1 and no hires_size: none.
  double hires_scale = 1;
  std::optional<std::array<int, 2>> hires_size = {};  // width, height
  double hires_strength = 0.7;                        // as strength
  std::optional<int> hires_steps = {};                // of its schedule; if absent: num_inference_steps
  // latent-nearest, latent-bilinear, latent-bicubic, or lanczos (of the decoded picture).
  std::string hires_upscaler = "latent-bilinear";
};

// The options of an engine: model, device, types, memory.
struct EngineOptions {
  // A path, "org/name[@revision]" in the cache of the Hugging Face hub, or a name in the model folders
  // (docs/MODELS.md). Empty: the small model that comes with tempera.
  std::string model = {};
  // Folders of models, or trees of A1111, Forge or ComfyUI, before those of TEMPERA_MODELS and of the config file.
  std::vector<std::string> models_dir = {};
  std::vector<std::string> import_paths = {};  // files like ComfyUI's extra_model_paths.yaml; adds their folders
  std::string preset = {};                     // instead of a model, for plan() and bench_ops(): "sdxl-base"
  // Folder with diffusers configs, for a single file whose tensor shapes do not determine the model.
  std::string model_config = {};
  std::string tokenizer = {};       // folder with another vocabulary than the model's
  std::string unet = {};            // replaces the model's UNet: a file (safetensors, GGUF) or a diffusers folder
  std::string unet_config = {};     // config of that UNet, if its tensor shapes do not determine it: a folder or a file
  std::string variant = {};         // which weight files of a folder to use: "fp16"
  std::string device = "auto";      // auto, cpu, cuda
  std::string dtype = "auto";       // auto, fp32, bf16, fp16
  std::string attention = "flash";  // flash, naive
  bool eager = false;               // without passes and prologue: constants of a request are computed in every step
  int threads = 0;  // of this engine; 0: OpenMP's number when the engine is made (OMP_NUM_THREADS, else all cores)
  // An autoencoder instead of the model's own: a .safetensors file or a diffusers folder. Empty: the model's own.
  std::string vae = {};
  std::string tiny_vae = {};  // used instead of the model's autoencoder: a path, or "model" for the model's tiny one
  // A model whose UNet continues the last part of the schedule (Request::refiner_start). Empty: none.
  std::string refiner = {};
  std::string offload = "auto";    // which parameters leave the device: auto, none, model, sequential
  std::string memory_budget = {};  // "6GiB", "80%" of the free memory, or "auto" (100%); chooses offloading and tiling
  std::string pinned_memory = {};  // limit of locked host memory for parameters that are copied to a card; same syntax
  std::string vae_dtype = "auto";  // compute type of the autoencoder: auto, fp32, bf16, fp16
  bool vae_tiling = false;         // decode in overlapping tiles
  int vae_tile_size = 0;  // side of a tile in pixels; 0: the autoencoder's own, halved until the picture has several
};

enum class FieldGroup { request, engine };

// The uses of a field in addition to generating. A command or an output that needs only some of the fields selects them
// by these traits.
enum class FieldTrait : uint32_t {
  none = 0,
  opens_model = 1 << 0,      // selects the files of a model: info() reads it
  encodes_text = 1 << 1,     // embeddings depend on it: Pipeline::encode reads it
  shapes_programs = 1 << 2,  // decides the kernels, their shapes and how often they run: bench_ops() reads it
  condition = 1 << 3,        // the same for all rows of a comparison (bench table)
  in_metadata = 1 << 4,      // in the text of a picture under its own name, if it is not the default
  for_plans_only = 1 << 5,   // only plan() and bench_ops() read it; a Pipeline refuses it
  repeats = 1 << 6,          // may be given several times; all values count, in their order
};
constexpr FieldTrait operator|(FieldTrait a, FieldTrait b) {
  return static_cast<FieldTrait>(static_cast<uint32_t>(a) | static_cast<uint32_t>(b));
}

// One option: its names, its meaning, and the functions that read and write it as text.
struct Field {
  std::string_view name;         // diffusers' argument: "num_inference_steps"
  std::string_view flag;         // on the command line: "--steps"
  std::string_view placeholder;  // "N", "WxH"; empty for switches
  std::string_view help;         // names other fields in backquotes: "(default: as `dtype`)"
  FieldGroup group;
  FieldTrait traits;
  // Parses `text` into the request or the engine options. Throws Error(invalid_argument) that names field, value and
  // the allowed values. For a field that repeats, adds the values in `text`, one on each line.
  void (*set)(Request& request, EngineOptions& engine, std::string_view text);
  // The value as text that `set` can read; empty if absent.
  std::optional<std::string> (*get)(const Request& request, const EngineOptions& engine);

  constexpr bool has(FieldTrait trait) const {
    return (static_cast<uint32_t>(traits) & static_cast<uint32_t>(trait)) != 0;
  }
};

std::span<const Field> request_fields();

}  // namespace tempera
