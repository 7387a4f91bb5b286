// How an autoencoder runs: the model's or a tiny one, on a whole picture or on overlapping tiles. It always decodes or
// encodes one picture at a time, so that memory does not grow with the number of pictures.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "models/config.h"
#include "pipeline/tiling.h"
#include "tempera/tempera.h"

namespace tempera {

// The options of decoder and encoder.
struct DecoderOptions {
  std::optional<TinyVaeConfig> tiny = {};  // replaces the model's autoencoder
  std::optional<DType> dtype = {};         // compute type; absent: the model's, or one with enough range for it
  bool tiling = false;
  int tile_pixels = 0;  // side of a tile; 0: that of default_tile
  bool operator==(const DecoderOptions&) const = default;
};
DecoderOptions decoder_options(const EngineOptions& engine, std::optional<TinyVaeConfig> tiny);

struct Tiles {
  TileGrid grid;
  std::vector<size_t> program_of;  // by tile, row by row: the index of its program

  // A decoder returns whole pictures as bytes, and tiles as floats, which are blended.
  bool several() const { return grid.count() > 1; }
};

// Whether tiles of that side, if given, can be blended.
bool can_tile(const VaeConfig& vae, const DecoderOptions& options);

// Throws Error(invalid_argument) with vae_tile_size when tiles of that side cannot be blended.
TileGrid choose_tiles(const VaeConfig& vae, const DecoderOptions& options, int latent_height, int latent_width);

// One graph for every shape of tile, in the order of their first tiles, and the graph of each tile.
struct TileGraphs {
  std::vector<Graph> graphs;
  Tiles tiles;
};
// Input "latent", output "image".
TileGraphs decoder_graphs(const VaeConfig& vae, const DecoderOptions& options, TileGrid grid, DType dtype);
// Input "image"; output "moments", or "latent" of a tiny autoencoder. Throws Error(invalid_argument) with tiny_vae if
// the encoder of a tiny autoencoder has other sizes than its decoder.
TileGraphs encoder_graphs(const VaeConfig& vae, const DecoderOptions& options, TileGrid grid, DType dtype);

// "AutoencoderKL in 9 tiles of 512x512", for people.
std::string describe(const TileGrid& grid, const DecoderOptions& options);

}  // namespace tempera
