// What a user can ask for: one picture request and how the engine shall run it. Names are those of diffusers'
// StableDiffusionXLPipeline. Every field is described once, in request_fields(): the command line, --help, JSON and the
// metadata of pictures are made from that list.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tempera {

// The picture. Every member has an initializer, so that a request may name some and leave out others without a warning.
struct Request {
  std::string prompt = {};
  std::optional<std::string> prompt_2 = {};           // for the second text encoder; prompt when absent
  std::optional<std::string> negative_prompt = {};    // absent is not "": see force_zeros_for_empty_prompt
  std::optional<std::string> negative_prompt_2 = {};  // negative_prompt when absent
  std::string prompt_embeds = {};  // a file of Pipeline::encode instead of the prompts; no text encoder is opened
  int width = 0, height = 0;       // pixels, divisible by 8; 0: the model's own size
  std::optional<int> num_inference_steps = {};  // the model's own when absent, else 50
  std::optional<double> guidance_scale = {};    // the model's own when absent, else 5; guidance is on above 1
  double guidance_rescale = 0.0;
  std::optional<uint64_t> seed = {};  // of the first picture; picture i has seed + i. Absent: drawn at random
  std::string rng = "cpu";            // whose generator the noise equals: torch's "cpu" or "cuda"
  int num_images_per_prompt = 1;
  std::optional<int> clip_skip = {};
  std::optional<std::array<int, 2>> original_size = {};  // width, height; the picture's size when absent
  std::optional<std::array<int, 2>> target_size = {};    // width, height; the picture's size when absent
  std::array<int, 2> crops_coords_top_left = {0, 0};     // x, y
  std::optional<double> denoising_end = {};              // fraction of the schedule to run, 0 to 1
  std::string scheduler = {};                            // a preset's name; empty: the model's own
  std::string scheduler_config = {};                     // a diffusers scheduler_config.json; empty: the model's own
};

// The engine.
struct EngineOptions {
  std::string model = {};   // diffusers folder or single .safetensors file; empty: the one that comes with tempera
  std::string preset = {};  // instead of a model, for plans and bench_ops: "sdxl-base"
  std::string model_config = {};  // folder with diffusers configs for a single file whose shapes do not say everything
  std::string tokenizer = {};     // folder with the vocabulary that a single file lacks
  std::string variant = {};       // "fp16": which weight files of a folder to take
  std::string device = "auto";    // auto, cpu, cuda
  std::string dtype = "auto";     // auto, fp32, bf16, fp16
  std::string attention = "flash";  // flash, naive
  bool eager = false;               // without passes and without hoisting what is constant per request
  int threads = 0;  // of this engine; 0: as many as OpenMP would use where it is made (OMP_NUM_THREADS, all cores)
  std::string tiny_vae = {};     // decodes instead of the model's autoencoder: a path, or "model" for its own tiny one
  std::string offload = "auto";  // auto, none, model, sequential: whose parameters stay on the device
  std::string memory_budget = {};  // "6GiB", "80%" or "auto" of what is free; chooses offloading and tiling itself
  std::string pinned_memory = {};  // the most of the host's to lock for what travels to a card, written alike
  std::string vae_dtype = "auto";  // auto, fp32, bf16, fp16: what the autoencoder computes in
  bool vae_tiling = false;         // decode in overlapping tiles
  int vae_tile_size = 0;  // side of a tile in pixels; 0: the autoencoder's own, smaller where that is too large
};

enum class FieldGroup { request, engine };

// What a field matters to besides drawing. Everything that offers or shows some of the fields filters the list by
// these.
enum class FieldTrait : uint32_t {
  none = 0,
  opens_model = 1 << 0,      // says which files a model is read from: info() reads it
  encodes_text = 1 << 1,     // embeddings depend on it: Pipeline::encode reads it
  shapes_programs = 1 << 2,  // decides which kernels run, on which shapes and how often: bench_ops() reads it
  condition = 1 << 3,        // in a comparison of ways to generate, the same for all of them
  in_metadata = 1 << 4,      // the text in a picture has it under its own name, where it is not at its default
  for_plans_only = 1 << 5,   // plan() and bench_ops() read it; a Pipeline cannot
};
constexpr FieldTrait operator|(FieldTrait a, FieldTrait b) {
  return static_cast<FieldTrait>(static_cast<uint32_t>(a) | static_cast<uint32_t>(b));
}

// One option: how it is called, what it means, and how it is read and written as text.
struct Field {
  std::string_view name;         // diffusers' argument: "num_inference_steps"
  std::string_view flag;         // on the command line: "--steps"
  std::string_view placeholder;  // "N", "WxH"; empty for switches
  std::string_view help;         // names other fields in backquotes: "(default: as `dtype`)"
  FieldGroup group;
  FieldTrait traits;
  // Parses `text` into the request or the engine options. Throws Error(invalid_argument) naming field, value and what
  // is allowed.
  void (*set)(Request& request, EngineOptions& engine, std::string_view text);
  // The value as `set` would read it; nothing when absent.
  std::optional<std::string> (*get)(const Request& request, const EngineOptions& engine);

  constexpr bool has(FieldTrait trait) const {
    return (static_cast<uint32_t>(traits) & static_cast<uint32_t>(trait)) != 0;
  }
};

std::span<const Field> request_fields();

}  // namespace tempera
