// tempera: Stable Diffusion XL, text to picture. The public interface; standard library only.
//
//   tempera::Pipeline pipeline({.model = "models/sdxl"});
//   tempera::Result result = pipeline.generate({.prompt = "a red apple", .seed = 1});
//   tempera::save_png("apple.png", result.images[0]);
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
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
    bool linked = true;         // false: opened when a card is used, and the version is that of the headers
  };
  // Of the sources: "9d95fa9e6c1b"; "9d95fa9e6c1b-modified" where files differed from it; "unknown" outside a git
  // checkout.
  std::string commit;
  std::vector<std::string> backends;  // "cpu", "cuda"
  std::vector<Library> libraries;
};
BuildInfo build_info();

struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;  // (H, W, 3)
  uint64_t seed = 0;
  std::string parameters;  // the settings as the "parameters" text that other programs read
};

// Bytes of device memory at the peak, known before anything is loaded.
struct MemoryPlan {
  size_t weights = 0;  // packed parameters that stay on the device
  size_t activations =
      0;              // intermediate values and kernels' workspaces of the stage that needs most; shared by all stages
  size_t stream = 0;  // staging space after the activations, for parameters that are copied in during a run
  size_t kept = 0;    // of the same stage: results that are constant for a request, as keys and values of its prompt
  size_t io = 0;      // inputs, outputs and the sampler's state; on a CPU also prompts and pictures
  size_t overhead = 0;     // the process: code, libraries, driver
  size_t peak_bytes = 0;   // the sum
  std::string peak_stage;  // the stage with the most activations, stream and kept
  size_t pinned_bytes =
      0;  // on a card: locked host memory for parameters that are copied in, where pinned_memory allows it
};

// One program of the pipeline as it will run. Memory in bytes, arithmetic in floating-point operations.
struct StagePlan {
  std::string name;                // "text_encoder", "unet", "vae_decoder"
  size_t steps = 0, prologue = 0;  // kernel launches in each run, and once for each request
  size_t weights = 0, activations = 0, stream = 0, kept = 0, io = 0;  // as in MemoryPlan
  size_t copied = 0;                                                  // parameters copied to the device in each run
  double flops = 0, flops_prologue = 0;                               // of one run, and once for each request
  size_t runs = 0;                                                    // for this request
};

// One way to answer a request within less memory.
struct BudgetChoice {
  std::string mode;  // "text encoders in turn, UNet streamed (38 % stay), decoder in turn in 9 tiles"
  size_t peak_bytes = 0;
  bool fits = false;
};

struct Plan {
  std::string model, device, dtype;
  int width = 0, height = 0;
  std::string scheduler;
  std::string decoder;  // what makes the pixels: "AutoencoderKL", "AutoencoderTiny in 9 tiles of 512x512"
  std::vector<StagePlan> stages;
  MemoryPlan memory;
  std::string residency;              // where parameters are: BudgetChoice::mode of what was chosen
  std::vector<BudgetChoice> choices;  // with a memory budget: what was tried, in order; the first that fits is taken
  double flops = 0;                   // of the whole request
  std::string listing;                // every step with kernel and offsets, when asked for
};

struct Stage {
  std::string name;  // "load", "text", "denoise", "decode"
  double seconds = 0;
};

struct Result {
  std::vector<Image> images;
  std::vector<Stage> stages;
  Plan plan;
  size_t measured_peak_bytes = 0;  // CPU: peak resident memory of the process; CUDA: of the device
};

struct EncodeResult {
  int tokens = 0;  // that the prompt was padded to
  std::vector<Stage> stages;
  size_t measured_peak_bytes = 0;  // as in Result
};

struct Progress {
  std::string_view stage;  // "load", "text", "denoise", "decode"
  int image = 0, images = 1;
  int step = 0, steps = 0;  // done, of
};

struct TraceEvent;  // tempera/bench.h

struct Callbacks {
  std::function<void(const Progress&)> progress;
  std::function<bool()> cancelled;  // polled between kernels; true stops with Error(cancelled)
  // Called with each span of the generation once that is over. While set, every run of a program is waited for, and
  // nothing is replayed as a recording.
  std::function<void(const TraceEvent&)> trace;
};

// A model on a device. Loads on first use and keeps what the next request can use again: weights, programs, and the
// text encoders' results for prompts it has seen. Not for several threads at once.
// On a CPU its threads wait for each other as libgomp's environment says. Programs that share their cores with others
// should be started with GOMP_SPINCOUNT=2000, as bin/tempera starts itself: the default may cost ten times the time
// there.
// OpenMP's settings are the caller's again after every call, also where it throws; callbacks see the engine's. The
// allocator is left alone. On a CPU the planned memory holds in programs that call glibc's
// mallopt(M_MMAP_THRESHOLD, 256 << 10) at their start and malloc_trim(0) at the first report of progress, as
// bin/tempera does. In others the heap may keep some tens of megabytes more.
class Pipeline {
 public:
  // Opens the model's files without reading weights, those of the text encoders when a request needs them. Throws
  // Error.
  explicit Pipeline(EngineOptions options, LogSink log = {});
  ~Pipeline();
  Pipeline(Pipeline&&) noexcept;
  Pipeline& operator=(Pipeline&&) noexcept;

  // Throws Error(invalid_argument) before any work when the request cannot be answered.
  Result generate(const Request& request, const Callbacks& callbacks = {});

  // Runs the text encoders on the request's prompts and writes what the UNet wants of them, for
  // Request::prompt_embeds: the same pictures without text encoders. `out` ends in .safetensors; it is replaced, and
  // appears whole or not at all. EngineOptions::offload holds here, memory_budget is for generate().
  EncodeResult encode(const Request& request, const std::filesystem::path& out, const Callbacks& callbacks = {});

  // Reads the energy counter of the device, in joules; of a CPU, the sum over its packages. Call it twice and subtract,
  // at most a few minutes apart, because counters wrap. Empty where the driver has no counter.
  std::optional<double> joules();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// What `generate` would do, without reading weights. With EngineOptions::preset no file is needed; device "cuda" needs
// no GPU. `listing` asks for every step.
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

// Writes a model of a preset's names and shapes with random weights of about the spread of trained ones. `out` ending
// in .safetensors gives a single-file (LDM) checkpoint, anything else a diffusers folder with a tiny autoencoder.
// Throws Error(invalid_argument) when `out` exists. dtype: "fp16", "bf16" or "fp32".
struct SynthOptions {
  std::string preset = "sdxl-base";
  std::string dtype = "fp16";
  uint64_t seed = 0;
};
void synth(const SynthOptions& options, const std::filesystem::path& out,
           const std::function<void(size_t done, size_t total)>& progress = {},
           const std::function<bool()>& cancelled = {});

// Writes a picture with its parameters as metadata; the file appears whole or not at all. With replace false an
// existing file is an Error(invalid_argument).
void save_png(const std::filesystem::path& path, const Image& image, bool replace = true);

// Names for the command line's help.
std::vector<std::string_view> preset_list();
std::vector<std::string_view> scheduler_list();

}  // namespace tempera
