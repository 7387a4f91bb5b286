// tempera: Stable Diffusion XL, text to picture. The public interface; standard library only.
//
//   tempera::Pipeline pipeline({.model = "models/sdxl"});
//   tempera::Result result = pipeline.generate({.prompt = "a red apple", .seed = 1});
//   tempera::save_picture("apple.png", result.images[0]);
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tempera/error.h"
#include "tempera/log.h"
#include "tempera/request.h"

namespace tempera {

std::string_view version();  // "0.2.0"

// What this library was built from.
struct BuildInfo {
  struct Library {
    std::string name, version;  // "oneDNN", "2.6.3"
    bool linked = true;         // false: opened when a card is used; the version is that of the headers
  };
  // The commit of the sources: "9d95fa9e6c1b"; "9d95fa9e6c1b-modified" if files differed from that commit; "unknown"
  // outside a git checkout.
  std::string commit;
  std::vector<std::string> backends;  // "cpu", "cuda"
  std::vector<Library> libraries;
};
BuildInfo build_info();

struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;  // (H, W, 3); empty if the request has output_type "latent"
  // (C, latent_height, latent_width), as of diffusers' output_type "latent"; empty otherwise.
  std::vector<float> latents = {};
  int latent_width = 0, latent_height = 0;
  uint64_t seed = 0;
  std::string parameters;  // the settings as the "parameters" text that other programs read
  bool composite = false;  // parts of it are from a picture of the request
};

// Bytes of device memory at the peak, known before anything is loaded. All stages share the memory of `activations`,
// `stream` and `kept`. The values are those of the stage where the sum of these three is the largest.
struct MemoryPlan {
  size_t weights = 0;       // packed parameters that stay on the device
  size_t activations = 0;   // intermediate values, and workspaces of kernels
  size_t stream = 0;        // staging space after the activations, for parameters that are copied in during a run
  size_t kept = 0;          // results that are constant for a request, such as keys and values of its prompt
  size_t io = 0;            // inputs, outputs and the sampler's state; on a CPU also prompts and pictures
  size_t overhead = 0;      // the process: code, libraries, driver
  size_t peak_bytes = 0;    // the sum of these six
  std::string peak_stage;   // the stage that `activations`, `stream` and `kept` belong to
  size_t pinned_bytes = 0;  // not in the sum: locked host memory for parameters that are copied to a card
};

// One stage of the pipeline. Memory in bytes, arithmetic in floating-point operations.
struct StagePlan {
  std::string name;                // "text_encoder", "unet", "vae_decoder"
  size_t steps = 0, prologue = 0;  // kernel launches: in each run, and once per request
  size_t weights = 0, activations = 0, stream = 0, kept = 0, io = 0;  // as in MemoryPlan
  size_t copied = 0;                                                  // parameters copied to the device in each run
  double flops = 0, flops_prologue = 0;                               // of one run, and once per request
  size_t runs = 0;                                                    // in this request
};

// One way to answer a request within less memory.
struct BudgetChoice {
  std::string mode;  // "text encoders in turn, UNet streamed (38 % stay), decoder in turn in 9 tiles"
  size_t peak_bytes = 0;
  bool fits = false;
};

struct Plan {
  std::string model, device, dtype;
  std::vector<std::string> adapters = {};  // paths of the files of lora and textual_inversion
  int width = 0, height = 0;
  std::string scheduler;
  std::string decoder;  // the decoder: "AutoencoderKL", "AutoencoderTiny in 9 tiles of 512x512"
  std::vector<StagePlan> stages;
  MemoryPlan memory;
  std::string residency;              // where parameters are, as BudgetChoice::mode
  std::vector<BudgetChoice> choices;  // with a memory budget: the ways that were tried; the first that fits is used
  double flops = 0;                   // of the whole request
  std::string listing;                // with plan(..., true): every step with its kernel and offsets
};

struct Stage {
  std::string name;  // "plan", "text", "encode", "load", "denoise", "second pass", "refine", "decode"
  double seconds = 0;
};

struct Result {
  std::vector<Image> images;
  std::vector<Stage> stages;
  Plan plan;
  size_t measured_peak_bytes = 0;  // CPU: peak resident memory of the process; CUDA: of the device
};

struct EncodeResult {
  int tokens = 0;  // length of the prompt after padding
  std::vector<Stage> stages;
  size_t measured_peak_bytes = 0;  // as in Result
};

struct Progress {
  std::string_view stage;  // as Stage::name
  int image = 0, images = 1;
  int step = 0, steps = 0;  // finished steps, and their total number
};

struct TraceEvent;  // tempera/bench.h

struct Callbacks {
  std::function<void(const Progress&)> progress;
  // Pipeline::generate calls it for each picture of the request in their order, when the picture is finished and before
  // the next one is decoded. The Result has the same pictures. After an error or a stop there is no Result: then only
  // this callback has received the finished pictures. The time of the call is not part of Result::stages. An exception
  // ends the generation.
  std::function<void(int index, const Image& image)> picture;
  std::function<bool()> cancelled;  // polled between kernels; true stops with Error(cancelled)
  // Receives each span of the generation when the span has ended. If a request has this callback, the engine waits for
  // every run of a program and replays no recordings.
  std::function<void(const TraceEvent&)> trace;
};

// A model on a device. It is loaded on first use. It keeps weights, programs and the text encoders' results for later
// requests. Do not use one Pipeline from several threads at once.
//
// OpenMP: every call restores the caller's settings, also when it throws. During callbacks the engine's settings
// apply. Set GOMP_SPINCOUNT=2000 in the environment of processes that share CPU cores with others, as bin/tempera does.
// With libgomp's default, such processes can be ten times as slow.
//
// Memory: the library does not change the allocator. On a CPU the plan is correct if the program calls two functions of
// glibc, as bin/tempera does: mallopt(M_MMAP_THRESHOLD, 256 << 10) at its start, and malloc_trim(0) at the first call
// of Callbacks::progress. In other programs the heap may keep some tens of megabytes more.
class Pipeline {
 public:
  // Opens the model's files without reading weights. Files of the text encoders are opened when a request needs them.
  // Throws Error.
  explicit Pipeline(EngineOptions options, LogSink log = {});
  ~Pipeline();
  Pipeline(Pipeline&&) noexcept;
  Pipeline& operator=(Pipeline&&) noexcept;

  // Throws Error(invalid_argument) before any work if the request is not possible.
  Result generate(const Request& request, const Callbacks& callbacks = {});

  // Runs the text encoders on the request's prompts and writes the embeddings, for Request::prompt_embeds. A
  // request with these embeddings gives the same pictures and opens no text encoder. `out` ends in .safetensors. An
  // existing file is replaced, and an incomplete file never appears. EngineOptions::offload decides where the encoders'
  // parameters are. With a memory_budget, the two encoders use the same memory in turn; the limit itself is not checked
  // here.
  EncodeResult encode(const Request& request, const std::filesystem::path& out, const Callbacks& callbacks = {});

  // Reads the device's energy counter, in joules; on a CPU, the sum over its packages. The energy between two calls is
  // the difference of the two values. Call it at least every few minutes, because counters overflow. Empty if the
  // driver has no counter.
  std::optional<double> joules();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// The plan of a request, without reading weights. EngineOptions::preset needs no file; device "cuda" needs no GPU.
// `listing`: also fill Plan::listing.
Plan plan(const EngineOptions& engine, const Request& request, bool listing = false);

struct ComponentInfo {
  std::string name;  // "unet"
  size_t parameters = 0;
  std::string dtypes;   // "f16", or "f16, f32" when mixed
  std::string summary;  // "320/640/1280 channels, ..."
};
struct ModelInfo {
  std::string kind;  // "SDXL base, diffusers folder"
  std::string path;
  size_t file_bytes = 0;
  std::vector<ComponentInfo> components;
  std::string scheduler, prediction_type;
};
ModelInfo info(const EngineOptions& engine, const LogSink& log = {});

// Writes a model with a preset's names and shapes and random weights: a checkpoint if `out` ends in .safetensors or
// .gguf, else a diffusers folder with a tiny autoencoder. Throws Error(invalid_argument) if `out` exists. dtype:
// "fp16", "bf16" or "fp32" for all weights; "fp8" or "q4_k" (GGUF) for the UNet's weights, with fp16 for the rest.
struct SynthOptions {
  std::string preset = "sdxl-base";
  std::string dtype = "fp16";
  uint64_t seed = 0;
};
void synth(const SynthOptions& options, const std::filesystem::path& out,
           const std::function<void(size_t done, size_t total)>& progress = {},
           const std::function<bool()>& cancelled = {});

// How a picture is written. Every format contains Image::parameters: PNG in a text chunk, JPEG and WebP in the user
// comment of EXIF data.
enum class PictureFormat { png, jpeg, webp };
struct PictureOptions {
  // 1 (small) to 100 (best). If absent: JPEG has 95, WebP is lossless. PNG is always lossless and has none.
  std::optional<int> quality = {};
  // XMP with IPTC's DigitalSourceType: trainedAlgorithmicMedia, or compositeWithTrainedAlgorithmicMedia for a picture
  // with Image::composite.
  bool ai_mark = true;
};

// By the extension: .png, .jpg or .jpeg, .webp, in any case of letters. Throws Error(invalid_argument) for others.
PictureFormat picture_format(const std::filesystem::path& path);
// The bytes of a file. Throws Error(invalid_argument) for options that the format does not have, for a picture that is
// too large for it (JPEG 65500, WebP 16383 pixels a side), and for parameters that do not fit in a JPEG (about 32,000
// characters).
std::vector<std::byte> picture_bytes(const Image& image, PictureFormat format = PictureFormat::png,
                                     const PictureOptions& options = {});
// Writes picture_bytes() in the format of the path's extension. An incomplete file never appears. If `replace` is
// false, an existing file is an Error(invalid_argument).
void save_picture(const std::filesystem::path& path, const Image& image, const PictureOptions& options = {},
                  bool replace = true);
// Throws as picture_bytes() for these options, before there is a picture. Sides of 0 pixels are not checked.
void check_picture_options(PictureFormat format, const PictureOptions& options, int width = 0, int height = 0);

// Writes the latents of pictures of one size to a safetensors file, for Request::latents: a tensor "latents" (N, C, h,
// w) in f32. `path` ends in .safetensors. An incomplete file never appears. If `replace` is false, an existing file is
// an Error(invalid_argument).
void save_latents(const std::filesystem::path& path, std::span<const Image> images, bool replace = true);

// Names for the command line's help.
std::vector<std::string_view> preset_list();
std::vector<std::string_view> scheduler_list();

}  // namespace tempera
