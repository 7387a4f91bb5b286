// Decoding in overlapping tiles: which parts of the latent, and how their pixels are blended into one picture. Both
// rules are diffusers', so that the picture is too; sums and blends are in float as there, and only what is final
// becomes bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace tempera {

// Whose tiles: AutoencoderKL.tiled_decode overlaps by a quarter of a tile, AutoencoderTiny._tiled_decode by an eighth.
enum class TileRule : uint8_t { kl, tiny };

// Latent pixels [begin, begin + size).
struct TileSpan {
  int begin = 0, size = 0;
  bool operator==(const TileSpan&) const = default;
};

// Tile (r, c) is rows[r] x columns[c]. One tile: the picture is decoded whole.
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

// The grid of a latent of height x width. Under the rule kl, tiles that the whole latent fits into leave it whole.
// Requires tile_unit(rule) to divide `tile`.
TileGrid make_tile_grid(TileRule rule, int height, int width, int tile, int scale);
TileGrid one_tile(int height, int width, int scale);

// What the side of a tile, in latent pixels, must be a multiple of so that overlaps are whole numbers.
int tile_unit(TileRule rule);

// The side of a tile, in latent pixels, where the user names none: `native`, halved until the picture has more than one
// tile (or tiles cannot be smaller), rounded down to the unit.
int default_tile(TileRule rule, int height, int width, int native);

// Takes the tiles of one picture row by row and writes its bytes, each as soon as no later tile changes it.
class TileBlender {
 public:
  virtual ~TileBlender() = default;
  // The next tile: (rows[r].size * scale, columns[c].size * scale, 3) in about [-1, 1]. Its values are overwritten.
  virtual void add(std::span<float> tile) = 0;
};

// `rgb` is (height * scale, width * scale, 3) and must outlive the blender, as `grid` must.
std::unique_ptr<TileBlender> make_blender(const TileGrid& grid, std::span<uint8_t> rgb);

// A pixel value in about [-1, 1] as a byte, as the op to_rgb8 has it.
uint8_t to_rgb8(float value);

}  // namespace tempera
