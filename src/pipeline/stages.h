// From a resolved request to the list of its stages: the programs on the device, their parameters, and how often they
// run. Plans, budgets, runs, benchmarks and traces all loop over this list.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "models/config.h"
#include "pipeline/decoder_tiles.h"
#include "pipeline/placement.h"
#include "pipeline/resolve.h"
#include "program/program.h"
#include "source/sources.h"
#include "tempera/tempera.h"

namespace tempera {

// The parts of a loop that decide its program and its plan.
struct LoopShape {
  bool refiner = false;
  int width = 0, height = 0, latent_width = 0, latent_height = 0;
  bool guidance = true, guidance_rescale = false, thresholding = false;
  bool blend = false;      // masks, with a UNet that does not read them
  int slots = 1;           // of the sampler's state
  size_t evaluations = 0;  // of the UNet, for each picture
  bool operator==(const LoopShape&) const = default;
};

// The parts of a request that decide its programs and its plan.
struct RequestShape {
  std::vector<LoopShape> loops = {{}};
  int images = 1;
  size_t encodings = 0;  // of pictures at the size of the first loop, for the request
  bool redraws = false;  // a loop enlarges decoded pictures (hires_upscaler lanczos)
  bool decodes = true;   // false: the latents are the result
  std::string scheduler = {};
  std::vector<int> text_skips = {0};
  std::array<size_t, 2> texts = {1, 1};  // distinct ones, by text encoder
  bool words = false;                    // the text encoders read embeddings of words (textual inversion)
  bool operator==(const RequestShape&) const = default;

  const LoopShape& last() const { return loops.back(); }
};
RequestShape shape_of(const ResolvedRequest& request);

struct ProgramOptions {
  DType dtype = DType::f32;
  std::string attention = "flash";
  bool eager = false;
  int images_per_forward = 1;  // pictures in one UNet batch
  int tokens = 77;
  bool two_passes = false;                  // of guidance: one branch after the other
  bool text = true;                         // false: the embeddings are given
  std::optional<ModelConfig> refiner = {};  // of EngineOptions::refiner
  Placement placement = {};
  DecoderOptions decoder = {};
  bool operator==(const ProgramOptions&) const = default;
};

struct StageSpec {
  std::string name;  // in plans, benchmarks and traces: "text_encoder", "vae_encoder", "unet", "vae_decoder"
  Role role = Role::denoise;
  ComponentRef component;              // the programs read its parameters
  std::vector<Program> programs = {};  // one, or one for each shape of tile
  std::vector<size_t> calls = {};      // by program: how often it runs in one run of the stage
  size_t runs = 0;                     // for the request
  size_t prologue_runs = 0;            // of the programs' prologues, for the request
  Tiles tiles = {};                    // of an encoder or decoder
  size_t loop = 0;                     // the number of its loop; of encoders and decoders: the first one of their size
};

struct Stages {
  std::vector<StageSpec> list;  // in the order in which they run

  const StageSpec* find(std::string_view name) const;  // nullptr if there is none
  // Of a loop, by its number. Throws Error(internal) when there is none.
  const StageSpec& denoise(size_t loop) const;
  // For the latents of a loop; nullptr if there is none.
  const StageSpec* decoder(size_t loop, const RequestShape& request) const;
  const StageSpec* encoder(size_t loop, const RequestShape& request) const;

 private:
  const StageSpec* of_size(Role role, size_t loop, const RequestShape& request) const;
};

// The name of the encoder's stage.
inline constexpr std::string_view kEncoderStage = "vae_encoder";

// The components of the opened sources that stages read.
struct StageComponents {
  ComponentRef text_encoder{SourceId::model, "text_encoder"}, text_encoder_2{SourceId::model, "text_encoder_2"};
  ComponentRef unet{SourceId::model, "unet"}, refiner{SourceId::refiner, "unet"}, vae{SourceId::model, "vae"};
  ComponentRef tiny_vae{SourceId::tiny_vae, "vae_tiny"};
};

// Only the text encoders: the request's texts through each.
Stages build_text_stages(const ModelConfig& model, const RequestShape& request, const Target& target,
                         const ProgramOptions& options);
Stages build_stages(const ModelConfig& model, const RequestShape& request, const Target& target,
                    const ProgramOptions& options);

// The denoising step of a loop for `images` pictures, the first `guided` of which have guidance. The programs have room
// for `slots` slots of sampler state.
struct ForwardShape {
  int images = 1, guided = 1, slots = 1;
  bool guidance_rescale = false, thresholding = false, blend = false;
};
Program build_denoise_program(const ModelConfig& model, const LoopShape& loop, const Target& target,
                              const ProgramOptions& options, const ForwardShape& forward);

// The latent of one picture: (h, w, C) f32.
size_t latent_bytes(const Program& denoise);

// The inputs of a denoising program that hold masks and the latents of pictures to inpaint: rows of each picture.
std::vector<IoSlot> mask_inputs(const Program& denoise);

// Counts all resident parameters, also those of stages that do not run, because a later request uses them.
Plan make_plan(const ModelConfig& model, const Stages& stages, const RequestShape& request, const Target& target,
               const ProgramOptions& options);

}  // namespace tempera
