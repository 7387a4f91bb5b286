#include "pipeline/decoder_programs.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "models/vae.h"

namespace tempera {
namespace {

// diffusers AutoencoderTiny: tile_sample_min_size, whatever the model.
constexpr int kTinyTilePixels = 512;

// The first of the shapes before `shape` that packs its weights as it does; `shape` itself when none does.
size_t packing_of(const std::vector<Program>& shapes, size_t shape) {
  size_t first = 0;
  while (!same_packing(shapes[first].weights, shapes[shape].weights)) ++first;
  return first;
}

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

DecoderPrograms build_decoder_programs(const VaeConfig& vae, const DecoderOptions& options, TileGrid grid, DType dtype,
                                       const std::function<Program(Graph)>& build) {
  const DType decoder_dtype = options.dtype.value_or(dtype);
  DecoderPrograms programs{std::move(grid), {}, {}};
  std::map<std::pair<int, int>, size_t> known;
  for (const TileSpan& row : programs.grid.rows)
    for (const TileSpan& column : programs.grid.columns) {
      const auto [at, is_new] = known.try_emplace({row.size, column.size}, programs.shapes.size());
      programs.shape_of.push_back(at->second);
      if (!is_new) continue;
      const VaeGraphOptions shape{.height = row.size,
                                  .width = column.size,
                                  .dtype = decoder_dtype,
                                  .pixels = programs.tiled() ? PixelFormat::float32 : PixelFormat::rgb8};
      programs.shapes.push_back(
          build(options.tiny ? tiny_vae_decoder_graph(*options.tiny, shape) : vae_decoder_graph(vae, shape)));
    }
  return programs;
}

size_t weight_bytes(const DecoderPrograms& programs) {
  size_t bytes = 0;
  for (size_t i = 0; i < programs.shapes.size(); ++i)
    if (packing_of(programs.shapes, i) == i) bytes += programs.shapes[i].memory.weights;
  return bytes;
}

StagePlan decoder_stage(const DecoderPrograms& programs, size_t pictures) {
  StagePlan stage;
  stage.name = "vae_decoder";
  stage.runs = pictures;
  stage.weights = weight_bytes(programs);
  const auto largest =
      std::max_element(programs.shapes.begin(), programs.shapes.end(),
                       [](const Program& a, const Program& b) { return a.memory.scratch() < b.memory.scratch(); });
  stage.activations = largest->memory.arena;
  stage.stream = largest->memory.stream;
  for (const Program& shape : programs.shapes) stage.io += shape.memory.io;
  for (const size_t shape : programs.shape_of) {
    stage.steps += programs.shapes[shape].steps.size();
    stage.flops += programs.shapes[shape].flops_step + programs.shapes[shape].flops_prologue;
  }
  return stage;
}

std::string describe(const DecoderPrograms& programs, const DecoderOptions& options) {
  std::string text = options.tiny ? "AutoencoderTiny" : "AutoencoderKL";
  const TileGrid& grid = programs.grid;
  if (programs.tiled())
    text += fmt::format(" in {} tiles of {}x{}", grid.count(), grid.tile * grid.scale, grid.tile * grid.scale);
  return text;
}

}  // namespace tempera
