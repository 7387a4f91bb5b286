// Autoencoders in overlapping tiles: the parts of a latent and of its picture, and the blending of the results into one
// picture or latent. All follow diffusers, so that the result is equal. Sums and blends are in float, as in diffusers.
// Pixels become bytes when they are final.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace tempera {

// The kind of tiles: AutoencoderKL.tiled_decode and _tiled_encode overlap by a quarter of a tile,
// AutoencoderTiny._tiled_decode and _tiled_encode by an eighth.
enum class TileRule : uint8_t { kl, tiny };

// Latent pixels [begin, begin + size).
struct TileSpan {
  int begin = 0, size = 0;
  bool operator==(const TileSpan&) const = default;
};

// Tile (r, c) is rows[r] x columns[c]. With one tile the picture is decoded or encoded whole.
struct TileGrid {
  TileRule rule = TileRule::kl;
  int scale = 8;              // pixels per latent pixel in each direction
  int tile = 0;               // side of a whole tile, in latent pixels
  int overlap = 0;            // with the next tile, in latent pixels
  int height = 0, width = 0;  // of the picture, in latent pixels
  std::vector<TileSpan> rows, columns;

  size_t count() const { return rows.size() * columns.size(); }
  bool operator==(const TileGrid&) const = default;
};

// The grid of a latent of height x width. Under the rule kl, there is one tile if the whole latent fits into it.
// tile_unit(rule) must divide `tile`.
TileGrid make_tile_grid(TileRule rule, int height, int width, int tile, int scale);
TileGrid one_tile(int height, int width, int scale);

// The side of a tile, in latent pixels, must be a multiple of this, so that overlaps are integers.
int tile_unit(TileRule rule);

// The default side of a tile, in latent pixels: `native`, halved until the picture has more than one tile (or tiles
// cannot be smaller), rounded down to the unit.
int default_tile(TileRule rule, int height, int width, int native);

// Gets the tiles of one picture or latent row by row and writes the blended values. Each is written when no later tile
// changes it.
class TileBlender {
 public:
  virtual ~TileBlender() = default;
  // The next tile. Its values are overwritten.
  virtual void add(std::span<float> tile) = 0;
};

// Of a decoder: tiles are (rows[r].size * scale, columns[c].size * scale, 3) in about [-1, 1]. `rgb` is (height *
// scale, width * scale, 3) and must outlive the blender, as `grid` must.
std::unique_ptr<TileBlender> make_blender(const TileGrid& grid, std::span<uint8_t> rgb);
// Of an encoder: tiles are (rows[r].size, columns[c].size, C). `latent` is (height, width, C) and must outlive the
// blender, as `grid` must.
std::unique_ptr<TileBlender> make_blender(const TileGrid& grid, std::span<float> latent);

// A pixel value in about [-1, 1] as a byte, as in the op to_rgb8.
uint8_t to_rgb8(float value);

}  // namespace tempera
