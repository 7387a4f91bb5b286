// The programs that turn the latent of one picture into pixels: the model's autoencoder or a tiny one, whole or in
// tiles. One picture at a time, always, so that memory does not grow with the number of pictures.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "ir/graph.h"
#include "models/config.h"
#include "pipeline/tiling.h"
#include "program/program.h"
#include "tempera/tempera.h"

namespace tempera {

struct DecoderOptions {
  std::optional<TinyVaeConfig> tiny = {};  // decodes in the place of the model's autoencoder
  std::optional<DType> dtype = {};         // to compute in; absent: the model's, or what has the range for it
  bool tiling = false;
  int tile_pixels = 0;  // side of a tile; 0: as default_tile chooses
  bool operator==(const DecoderOptions&) const = default;
};
DecoderOptions decoder_options(const EngineOptions& engine, std::optional<TinyVaeConfig> tiny);

struct DecoderPrograms {
  TileGrid grid;
  std::vector<Program> shapes;   // one for every shape of tile, input "latent", output "image"
  std::vector<size_t> shape_of;  // by tile, row by row: the index of its program

  // Whole pictures leave as bytes; tiles as floats, to be blended.
  bool tiled() const { return grid.count() > 1; }
};

// Whether tiles of that side, where one is given, can be blended.
bool can_tile(const VaeConfig& vae, const DecoderOptions& options);

// Throws Error(invalid_argument) naming vae_tile_size when tiles of that side cannot be blended.
TileGrid choose_tiles(const VaeConfig& vae, const DecoderOptions& options, int latent_height, int latent_width);

// `build` optimizes and lowers.
DecoderPrograms build_decoder_programs(const VaeConfig& vae, const DecoderOptions& options, TileGrid grid, DType dtype,
                                       const std::function<Program(Graph)>& build);

// Shapes whose kernels pack the weights differently have weights of their own.
size_t weight_bytes(const DecoderPrograms& programs);

// The stage "vae_decoder" of a plan; a run is one picture.
StagePlan decoder_stage(const DecoderPrograms& programs, size_t pictures);

// "AutoencoderKL in 9 tiles of 512x512", for people.
std::string describe(const DecoderPrograms& programs, const DecoderOptions& options);

}  // namespace tempera
