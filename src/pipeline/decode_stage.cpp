#include "pipeline/decode_stage.h"

namespace tempera {
namespace {

// The part of a latent (height, width, C) that a tile covers.
DeviceRows cut(const std::byte* latent, const TensorDesc& tile, const TileGrid& grid, const TileSpan& rows,
               const TileSpan& columns) {
  const size_t pixel_bytes = static_cast<size_t>(tile.shape[-1]) * size_of(tile.dtype);
  const size_t stride = static_cast<size_t>(grid.width) * pixel_bytes;
  const std::byte* first =
      latent + static_cast<size_t>(rows.begin) * stride + static_cast<size_t>(columns.begin) * pixel_bytes;
  return {first, static_cast<size_t>(rows.size), static_cast<size_t>(columns.size) * pixel_bytes, stride};
}

size_t picture_bytes(const TileGrid& grid) {
  const auto scale = static_cast<size_t>(grid.scale);
  return static_cast<size_t>(grid.height) * scale * static_cast<size_t>(grid.width) * scale * 3;
}

std::vector<uint8_t> decode_whole(const TileGrid& grid, Executable& program, const std::byte* latent,
                                  const CheckCancelled& check) {
  std::vector<uint8_t> rgb(picture_bytes(grid));
  const size_t bytes = program.program().input("latent").ref.desc.bytes();
  program.copy_input("latent", {latent, 1, bytes, bytes});
  program.run(check);
  program.read_output("image", std::as_writable_bytes(std::span(rgb)));
  return rgb;
}

}  // namespace

std::vector<uint8_t> decode(const Tiles& tiles, std::span<Executable* const> programs, const std::byte* latent,
                            const CheckCancelled& check, const std::function<void(size_t, size_t)>& on_tile) {
  const TileGrid& grid = tiles.grid;
  if (!tiles.several()) {
    std::vector<uint8_t> rgb = decode_whole(grid, *programs.front(), latent, check);
    on_tile(1, 1);
    return rgb;
  }
  std::vector<uint8_t> rgb(picture_bytes(grid));
  const std::unique_ptr<TileBlender> blender = make_blender(grid, rgb);
  size_t done = 0;
  for (const TileSpan& row : grid.rows)
    for (const TileSpan& column : grid.columns) {
      Executable& program = *programs[tiles.program_of[done]];
      program.copy_input("latent", cut(latent, program.program().input("latent").ref.desc, grid, row, column));
      program.run(check);
      std::vector<float> tile = program.read_output("image");
      blender->add(tile);
      on_tile(++done, grid.count());
    }
  return rgb;
}

}  // namespace tempera
