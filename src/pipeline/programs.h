// From a resolved request to the programs that answer it, and from those to a plan: what will run, how often, and the
// peak.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "models/config.h"
#include "pipeline/decoder_programs.h"
#include "pipeline/placement.h"
#include "pipeline/resolve.h"
#include "program/program.h"
#include "tempera/tempera.h"

namespace tempera {

// What of a request decides its programs and its plan.
struct RequestShape {
  int width = 0, height = 0, latent_width = 0, latent_height = 0, images = 1;
  bool guidance = true, guidance_rescale = false;
  int slots = 1;           // of the sampler's state
  size_t evaluations = 0;  // of the UNet, for each picture
  std::string scheduler = {};
  std::vector<int> text_skips = {0};
  std::array<size_t, 2> texts = {1, 1};  // distinct ones, by text encoder
  bool operator==(const RequestShape&) const = default;
};
RequestShape shape_of(const ResolvedRequest& request);

struct ProgramOptions {
  DType dtype = DType::f32;
  std::string attention = "flash";
  bool eager = false;
  int images_per_forward = 1;  // pictures in one UNet batch (twice that with guidance)
  int tokens = 77;
  bool two_passes = false;  // of guidance: one branch after the other
  bool text = true;         // false: the embeddings are there already
  Placement placement = {};
  DecoderOptions decoder = {};
  bool operator==(const ProgramOptions&) const = default;
};

struct TextPrograms {
  std::optional<Program> first;  // absent in the refiner
  Program second;
};

struct Programs {
  std::optional<TextPrograms> text;
  Program denoise;
  DecoderPrograms decoder;
};

TextPrograms build_text_programs(const ModelConfig& model, const std::vector<int>& skips, const Target& target,
                                 const ProgramOptions& options);
Programs build_programs(const ModelConfig& model, const RequestShape& request, const Target& target,
                        const ProgramOptions& options);

// In the order in which they run.
std::vector<const Program*> all_programs(const TextPrograms& programs);
std::vector<const Program*> all_programs(const Programs& programs);

// The largest scratch memory of all: what they share, since no two run at the same time.
size_t scratch_bytes(const std::vector<const Program*>& programs);

// Of one picture, as the denoising step leaves it. Those of all pictures of a request are kept on the device until they
// are decoded.
size_t latent_bytes(const Program& denoise);

// All that stays is counted, whatever runs: a later request finds it there.
Plan make_plan(const ModelConfig& model, const Programs& programs, const RequestShape& request, const Target& target,
               const ProgramOptions& options);

}  // namespace tempera
