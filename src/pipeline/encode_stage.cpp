#include "pipeline/encode_stage.h"

#include <algorithm>

#include "base/error.h"

namespace tempera {
namespace {

// Every encoder has one input and one output.
std::vector<float> run(Executable& program, std::span<const float> image, const CheckCancelled& check) {
  program.write_input("image", image);
  program.run(check);
  return program.read_output(program.program().outputs.front().name);
}

// The pixels of a tile, from a picture with `row` values in a row.
std::vector<float> cut(std::span<const float> picture, size_t row, const TensorDesc& tile, const TileGrid& grid,
                       const TileSpan& rows, const TileSpan& columns) {
  const auto pixels = [&](int latent) { return static_cast<size_t>(latent) * static_cast<size_t>(grid.scale); };
  const auto channels = static_cast<size_t>(tile.shape[3]);
  std::vector<float> values;
  values.reserve(static_cast<size_t>(tile.shape.elements()));
  for (size_t y = 0; y < pixels(rows.size); ++y) {
    const auto from = picture.subspan((pixels(rows.begin) + y) * row + pixels(columns.begin) * channels,
                                      pixels(columns.size) * channels);
    values.insert(values.end(), from.begin(), from.end());
  }
  return values;
}

}  // namespace

std::vector<float> encode(const Tiles& tiles, std::span<Executable* const> programs, std::span<const float> picture,
                          const CheckCancelled& check, const std::function<void(size_t, size_t)>& on_tile) {
  const TileGrid& grid = tiles.grid;
  if (!tiles.several()) {
    std::vector<float> moments = run(*programs.front(), picture, check);
    on_tile(1, 1);
    return moments;
  }
  const auto latent_pixels = static_cast<size_t>(grid.height) * static_cast<size_t>(grid.width);
  const auto channels = static_cast<size_t>(programs.front()->program().outputs.front().ref.desc.shape[3]);
  const size_t row = picture.size() / (static_cast<size_t>(grid.height) * static_cast<size_t>(grid.scale));
  std::vector<float> moments(latent_pixels * channels);
  const std::unique_ptr<TileBlender> blender = make_blender(grid, std::span(moments));
  size_t done = 0;
  for (const TileSpan& rows : grid.rows)
    for (const TileSpan& columns : grid.columns) {
      Executable& program = *programs[tiles.program_of[done]];
      const TensorDesc& input = program.program().input("image").ref.desc;
      std::vector<float> tile = run(program, cut(picture, row, input, grid, rows, columns), check);
      blender->add(tile);
      on_tile(++done, grid.count());
    }
  return moments;
}

}  // namespace tempera
