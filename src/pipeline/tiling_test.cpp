// Tiles against diffusers' loops written down naively: every tile kept, blended in place, one huge canvas.
#include "pipeline/tiling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tempera {
namespace {

using testing::ElementsAre;

// A picture, or a latent of more channels.
struct Picture {
  Picture(int h, int w, int channel_count)
      : height(h), width(w), channels(channel_count), values(size_t(h) * size_t(w) * size_t(channel_count)) {}
  int height, width, channels;
  std::vector<float> values;
  float& at(int y, int x, int c) {
    return values[(size_t(y) * size_t(width) + size_t(x)) * size_t(channels) + size_t(c)];
  }
};

// What an autoencoder might make of a tile: different in every tile, so that blending shows. A decoder's result has
// `scale` pixels for one of the grid, that of an encoder one.
Picture result_of(const TileSpan& rows, const TileSpan& columns, int scale, int channels) {
  Picture tile(rows.size * scale, columns.size * scale, channels);
  for (int y = 0; y < tile.height; ++y)
    for (int x = 0; x < tile.width; ++x)
      for (int c = 0; c < channels; ++c)
        tile.at(y, x, c) =
            static_cast<float>(0.9 * std::sin(0.37 * y + 0.21 * x + c + 1.7 * rows.begin + 2.3 * columns.begin));
  return tile;
}

// AutoencoderKL.tiled_decode with tiles of `tile` latent pixels. _tiled_encode is the same with a scale of 1.
Picture kl_of_diffusers(int height, int width, int tile, int scale, int channels) {
  const int step = tile * 3 / 4, extent = tile * scale / 4, limit = tile * scale - extent;
  std::vector<std::vector<Picture>> rows;
  for (int i = 0; i < height; i += step) {
    rows.emplace_back();
    for (int j = 0; j < width; j += step)
      rows.back().push_back(
          result_of({i, std::min(tile, height - i)}, {j, std::min(tile, width - j)}, scale, channels));
  }
  Picture all(height * scale, width * scale, channels);
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t j = 0; j < rows[i].size(); ++j) {
      Picture& b = rows[i][j];
      if (i > 0) {
        Picture& a = rows[i - 1][j];
        const int e = std::min({a.height, b.height, extent});
        for (int y = 0; y < e; ++y)
          for (int x = 0; x < b.width; ++x)
            for (int c = 0; c < channels; ++c)
              b.at(y, x, c) =
                  a.at(a.height - e + y, x, c) * float(1 - double(y) / e) + b.at(y, x, c) * float(double(y) / e);
      }
      if (j > 0) {
        Picture& a = rows[i][j - 1];
        const int e = std::min({a.width, b.width, extent});
        for (int y = 0; y < b.height; ++y)
          for (int x = 0; x < e; ++x)
            for (int c = 0; c < channels; ++c)
              b.at(y, x, c) =
                  a.at(y, a.width - e + x, c) * float(1 - double(x) / e) + b.at(y, x, c) * float(double(x) / e);
      }
      for (int y = 0; y < std::min(b.height, limit); ++y)
        for (int x = 0; x < std::min(b.width, limit); ++x)
          for (int c = 0; c < channels; ++c) all.at(int(i) * limit + y, int(j) * limit + x, c) = b.at(y, x, c);
    }
  return all;
}

// AutoencoderTiny._tiled_decode. _tiled_encode is the same with a scale of 1.
Picture tiny_of_diffusers(int height, int width, int tile, int scale, int channels) {
  const int blend = tile / 8, step = tile - blend;
  Picture all(height * scale, width * scale, channels);
  const auto mask = [&](int at) { return std::min(float(at) / float(blend * scale - 1), 1.0f); };
  for (int i = 0; i < height; i += step)
    for (int j = 0; j < width; j += step) {
      Picture b = result_of({i, std::min(tile, height - i)}, {j, std::min(tile, width - j)}, scale, channels);
      for (int y = 0; y < b.height; ++y)
        for (int x = 0; x < b.width; ++x)
          for (int c = 0; c < channels; ++c) {
            const float m = (i == 0 ? 1 : mask(y)) * (j == 0 ? 1 : mask(x));
            float& to = all.at(i * scale + y, j * scale + x, c);
            to = m * b.at(y, x, c) + (1 - m) * to;
          }
    }
  return all;
}

std::vector<uint8_t> blended(const TileGrid& grid) {
  std::vector<uint8_t> rgb(size_t(grid.height * grid.scale) * size_t(grid.width * grid.scale) * 3, 77);
  const auto blender = make_blender(grid, rgb);
  for (const TileSpan& row : grid.rows)
    for (const TileSpan& column : grid.columns) {
      Picture tile = result_of(row, column, grid.scale, 3);
      blender->add(tile.values);
    }
  return rgb;
}

std::vector<float> blended_latents(const TileGrid& grid, int channels) {
  std::vector<float> latent(size_t(grid.height) * size_t(grid.width) * size_t(channels), 77);
  const auto blender = make_blender(grid, std::span(latent));
  for (const TileSpan& row : grid.rows)
    for (const TileSpan& column : grid.columns) {
      Picture tile = result_of(row, column, 1, channels);
      blender->add(tile.values);
    }
  return latent;
}

std::vector<uint8_t> bytes_of(const Picture& picture) {
  std::vector<uint8_t> bytes;
  for (const float value : picture.values) bytes.push_back(to_rgb8(value));
  return bytes;
}

// Heights and widths around whole numbers of tiles: the last tiles are one pixel, nearly whole, or swallowed.
const std::vector<std::pair<int, int>> kSizes = {{12, 20}, {20, 12}, {8, 9}, {9, 8}, {13, 14}, {24, 31}, {6, 40}};

TEST(Tiling, BlendsAsAutoencoderKl) {
  for (const auto& [height, width] : kSizes) {
    const TileGrid grid = make_tile_grid(TileRule::kl, height, width, 8, 8);
    ASSERT_GT(grid.count(), 1u);
    EXPECT_EQ(blended(grid), bytes_of(kl_of_diffusers(height, width, 8, 8, 3))) << height << "x" << width;
  }
}

TEST(Tiling, BlendsAsAutoencoderTiny) {
  for (const auto& [height, width] : kSizes) {
    const TileGrid grid = make_tile_grid(TileRule::tiny, height, width, 8, 8);
    ASSERT_GT(grid.count(), 1u);
    EXPECT_EQ(blended(grid), bytes_of(tiny_of_diffusers(height, width, 8, 8, 3))) << height << "x" << width;
  }
}

TEST(Tiling, BlendsLatentsAsAutoencoders) {
  for (const auto& [height, width] : kSizes)
    for (const int channels : {4, 8}) {
      const TileGrid kl = make_tile_grid(TileRule::kl, height, width, 8, 8);
      EXPECT_EQ(blended_latents(kl, channels), kl_of_diffusers(height, width, 8, 1, channels).values);
      const TileGrid tiny = make_tile_grid(TileRule::tiny, height, width, 16, 8);
      if (tiny.count() == 1) continue;  // smaller than such a tile
      EXPECT_EQ(blended_latents(tiny, channels), tiny_of_diffusers(height, width, 16, 1, channels).values);
    }
}

TEST(Tiling, TilesAreThoseOfDiffusers) {
  const TileGrid grid = make_tile_grid(TileRule::kl, 12, 20, 8, 8);
  EXPECT_THAT(grid.rows, ElementsAre(TileSpan{0, 8}, TileSpan{6, 6}));
  EXPECT_THAT(grid.columns, ElementsAre(TileSpan{0, 8}, TileSpan{6, 8}, TileSpan{12, 8}, TileSpan{18, 2}));
  const TileGrid tiny = make_tile_grid(TileRule::tiny, 128, 64, 64, 8);
  EXPECT_THAT(tiny.rows, ElementsAre(TileSpan{0, 64}, TileSpan{56, 64}, TileSpan{112, 16}));
  EXPECT_THAT(tiny.columns, ElementsAre(TileSpan{0, 64}, TileSpan{56, 8}));
}

TEST(Tiling, LeavesWholeWhatFitsIntoOneTile) {
  for (const TileRule rule : {TileRule::kl, TileRule::tiny})
    EXPECT_EQ(make_tile_grid(rule, 16, 8, 16, 8), one_tile(16, 8, 8));
}

TEST(Tiling, DefaultsToTheAutoencodersSizeAndBitesAtAnyOther) {
  EXPECT_EQ(default_tile(TileRule::kl, 256, 128, 128), 128);  // diffusers' own
  EXPECT_EQ(default_tile(TileRule::kl, 128, 128, 128), 64);
  EXPECT_EQ(default_tile(TileRule::kl, 12, 20, 128), 16);
  EXPECT_EQ(default_tile(TileRule::tiny, 128, 128, 64), 64);
  for (const TileRule rule : {TileRule::kl, TileRule::tiny})
    for (const int native : {1, 7, 30, 100, 128})
      for (int side = 9; side < 300; ++side) {
        const int tile = default_tile(rule, 5, side, native);
        ASSERT_EQ(tile % tile_unit(rule), 0);
        ASSERT_GT(make_tile_grid(rule, 5, side, tile, 8).count(), 1u) << native << " " << side;
      }
}

TEST(Tiling, RoundsLikeTheDevice) {
  EXPECT_EQ(to_rgb8(-1), 0);
  EXPECT_EQ(to_rgb8(1), 255);
  EXPECT_EQ(to_rgb8(7), 255);
  EXPECT_EQ(to_rgb8(-7), 0);
  EXPECT_EQ(to_rgb8(0), 128);  // 127.5 to even
  EXPECT_EQ(to_rgb8(std::nanf("")), 0);
}

}  // namespace
}  // namespace tempera
