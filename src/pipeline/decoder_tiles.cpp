#include "pipeline/decoder_tiles.h"

#include <map>

#include "base/error.h"
#include "models/vae.h"

namespace tempera {
namespace {

// diffusers AutoencoderTiny: tile_sample_min_size, whatever the model.
constexpr int kTinyTilePixels = 512;

TileRule rule_of(const DecoderOptions& options) {
  return options.tiny ? TileRule::tiny : TileRule::kl;
}

// What the side of a tile must be divisible by, in pixels.
int pixel_unit(const VaeConfig& vae, const DecoderOptions& options) {
  return tile_unit(rule_of(options)) * vae.scale();
}

}  // namespace

DecoderOptions decoder_options(const EngineOptions& engine, std::optional<TinyVaeConfig> tiny) {
  return {std::move(tiny), parse_dtype(engine.vae_dtype), engine.vae_tiling || engine.vae_tile_size > 0,
          engine.vae_tile_size};
}

bool can_tile(const VaeConfig& vae, const DecoderOptions& options) {
  return options.tile_pixels % pixel_unit(vae, options) == 0;
}

TileGrid choose_tiles(const VaeConfig& vae, const DecoderOptions& options, int latent_height, int latent_width) {
  const int scale = vae.scale();
  if (!options.tiling) return one_tile(latent_height, latent_width, scale);
  const TileRule rule = rule_of(options);
  const int unit = pixel_unit(vae, options);
  if (!can_tile(vae, options))
    fail(ErrorCode::invalid_argument,
         "{} is {}: give a number divisible by {}, such as {}, so that tiles overlap by whole pixels of "
         "the latent",
         FieldName{"vae_tile_size"}, options.tile_pixels, unit, (options.tile_pixels / unit + 1) * unit);
  const int native = options.tiny ? kTinyTilePixels : vae.sample_size;
  const int tile = options.tile_pixels > 0 ? options.tile_pixels / scale
                                           : default_tile(rule, latent_height, latent_width, native / scale);
  return make_tile_grid(rule, latent_height, latent_width, tile, scale);
}

namespace {

// graph_of(height, width, several): the graph of a tile of that size in latent pixels.
template <class GraphOf>
TileGraphs tile_graphs(TileGrid grid, const GraphOf& graph_of) {
  TileGraphs out{{}, {std::move(grid), {}}};
  std::map<std::pair<int, int>, size_t> known;
  for (const TileSpan& row : out.tiles.grid.rows)
    for (const TileSpan& column : out.tiles.grid.columns) {
      const auto [at, is_new] = known.try_emplace({row.size, column.size}, out.graphs.size());
      out.tiles.program_of.push_back(at->second);
      if (is_new) out.graphs.push_back(graph_of(row.size, column.size, out.tiles.several()));
    }
  return out;
}

}  // namespace

TileGraphs decoder_graphs(const VaeConfig& vae, const DecoderOptions& options, TileGrid grid, DType dtype) {
  return tile_graphs(std::move(grid), [&](int height, int width, bool several) {
    const VaeGraphOptions shape{.height = height,
                                .width = width,
                                .dtype = options.dtype.value_or(dtype),
                                .pixels = several ? PixelFormat::float32 : PixelFormat::rgb8};
    return options.tiny ? tiny_vae_decoder_graph(*options.tiny, shape) : vae_decoder_graph(vae, shape);
  });
}

TileGraphs encoder_graphs(const VaeConfig& vae, const DecoderOptions& options, TileGrid grid, DType dtype) {
  if (options.tiny && options.tiny->encoder_scale() != vae.scale())
    fail(ErrorCode::invalid_argument,
         "the encoder of {} makes latents {} times smaller than pictures, the model needs {}: give another {}",
         FieldName{"tiny_vae"}, options.tiny->encoder_scale(), vae.scale(), FieldName{"tiny_vae"});
  return tile_graphs(std::move(grid), [&](int height, int width, bool) {
    const VaeGraphOptions shape{.height = height, .width = width, .dtype = options.dtype.value_or(dtype)};
    return options.tiny ? tiny_vae_encoder_graph(*options.tiny, shape) : vae_encoder_graph(vae, shape);
  });
}

std::string describe(const TileGrid& grid, const DecoderOptions& options) {
  std::string text = options.tiny ? "AutoencoderTiny" : "AutoencoderKL";
  if (grid.count() > 1)
    text += fmt::format(" in {} tiles of {}x{}", grid.count(), grid.tile * grid.scale, grid.tile * grid.scale);
  return text;
}

}  // namespace tempera
