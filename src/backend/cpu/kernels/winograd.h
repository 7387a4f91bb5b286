// The steps of a 3 x 3 convolution by Winograd's F(4 x 4, 3 x 3), for one instruction set. Everything between the
// steps is f32: for each of the 36 places of a patch a matrix of its own, `..._step` elements after the one before.
#pragma once

#include "ir/ops.h"

namespace tempera {

inline constexpr int kWinogradTile = 4;   // results in a row of a tile,
inline constexpr int kWinogradPatch = 6;  // from so many values
inline constexpr int kWinogradPlaces = kWinogradPatch * kWinogradPatch;
// Output channels whose weights lie together in memory: (out / 32, in, 9, 32) in f32, and (out / 32, in / 2, 9, 32, 2)
// in bf16.
inline constexpr int64_t kWinogradPanel = 32;

// Pictures (N, H, W, C) and the tiles of 4 x 4 results that cover theirs, picture by picture and row by row.
struct WinogradTiles {
  int64_t height = 0, width = 0, out_height = 0, out_width = 0, pad = 0;
  int64_t across() const { return (out_width + kWinogradTile - 1) / kWinogradTile; }
  int64_t per_picture() const { return (out_height + kWinogradTile - 1) / kWinogradTile * across(); }
};

// A block of `count` tiles from tile `first` on, and a slice of `out` output channels from `first_out` on.
struct WinogradBlock {
  int64_t first = 0, count = 0;
  int64_t first_out = 0, out = 0;
};

// Where the matrices of a block are. values (tiles, channels), taps in panels (out / panel, channels, panel), products
// (tiles, out); rows are values_row and products_row elements apart.
struct WinogradScratch {
  float *values = nullptr, *taps = nullptr, *products = nullptr;
  int64_t channels = 0;
  int64_t values_row = 0, products_row = 0;
  int64_t values_step = 0, taps_step = 0, products_step = 0;
};

// Where results go. residual may be null.
struct WinogradOutput {
  DType type = DType::f32;
  std::byte* data = nullptr;
  const std::byte* residual = nullptr;
  const float* bias = nullptr;
  Activation activation = Activation::none;
  int64_t channels = 0;  // of a pixel
};

struct WinogradIsa {
  int64_t rows = 0;  // of tiles that are multiplied at a time: blocks are multiples of it in memory
  // Weights of the pairs [begin, end) of input channels, panel after panel of the slice, to scratch.taps.
  void (*taps)(DType type, const std::byte* weights, const WinogradBlock& block, int64_t begin, int64_t end,
               const WinogradScratch& scratch) = nullptr;
  // The patches of pictures x, to scratch.values.
  void (*values)(DType type, const std::byte* x, const WinogradTiles& tiles, const WinogradBlock& block,
                 const WinogradScratch& scratch) = nullptr;
  void (*multiply)(const WinogradBlock& block, const WinogradScratch& scratch) = nullptr;
  void (*results)(const WinogradTiles& tiles, const WinogradBlock& block, const WinogradScratch& scratch,
                  const WinogradOutput& output) = nullptr;
};

const WinogradIsa& winograd_isa();

}  // namespace tempera
