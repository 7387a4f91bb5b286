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

// The parts of a request that decide its programs and its plan.
struct RequestShape {
  int width = 0, height = 0, latent_width = 0, latent_height = 0, images = 1;
  bool guidance = true, guidance_rescale = false, thresholding = false;
  bool blend = false;      // masks, with a UNet that does not read them
  int slots = 1;           // of the sampler's state
  size_t evaluations = 0;  // of the UNet, for each picture
  std::string scheduler = {};
  std::vector<int> text_skips = {0};
  size_t encodings = 0;                  // runs of the autoencoder's encoder, for the request
  std::array<size_t, 2> texts = {1, 1};  // distinct ones, by text encoder
  bool words = false;                    // the text encoders read embeddings of words (textual inversion)
  bool operator==(const RequestShape&) const = default;
};
RequestShape shape_of(const ResolvedRequest& request);

struct ProgramOptions {
  DType dtype = DType::f32;
  std::string attention = "flash";
  bool eager = false;
  int images_per_forward = 1;  // pictures in one UNet batch
  int tokens = 77;
  bool two_passes = false;  // of guidance: one branch after the other
  bool text = true;         // false: the embeddings are given
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
};

struct Stages {
  std::vector<StageSpec> list;  // in the order in which they run

  // The only stage of a role that has only one. Throws Error(internal) when there is none.
  const StageSpec& only(Role role) const;
  const StageSpec* find(std::string_view name) const;
};

// The name of the encoder's stage.
inline constexpr std::string_view kEncoderStage = "vae_encoder";

// The components of the opened sources that stages read.
struct StageComponents {
  ComponentRef text_encoder{0, "text_encoder"}, text_encoder_2{0, "text_encoder_2"}, unet{0, "unet"}, vae{0, "vae"};
  ComponentRef tiny_vae{1, "vae_tiny"};
};

// Only the text encoders: the request's texts through each.
Stages build_text_stages(const ModelConfig& model, const RequestShape& request, const Target& target,
                         const ProgramOptions& options);
Stages build_stages(const ModelConfig& model, const RequestShape& request, const Target& target,
                    const ProgramOptions& options);

// The denoising step for `images` pictures, the first `guided` of which have guidance. The programs have room for
// `slots` slots of sampler state.
struct ForwardShape {
  int images = 1, guided = 1, slots = 1;
  bool guidance_rescale = false, thresholding = false, blend = false;
};
Program build_denoise_program(const ModelConfig& model, const RequestShape& request, const Target& target,
                              const ProgramOptions& options, const ForwardShape& forward);

// The latent of one picture: (h, w, C) f32.
size_t latent_bytes(const Program& denoise);

// The inputs of a denoising program that hold masks and the latents of pictures to inpaint: rows of each picture.
std::vector<IoSlot> mask_inputs(const Program& denoise);

// Counts all resident parameters, also those of stages that do not run, because a later request uses them.
Plan make_plan(const ModelConfig& model, const Stages& stages, const RequestShape& request, const Target& target,
               const ProgramOptions& options);

}  // namespace tempera
