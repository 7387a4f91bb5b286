// The steps of a 3 x 3 convolution by Winograd's F(4 x 4, 3 x 3), for one instruction set. All values between the steps
// are f32. Each of the 36 elements of a patch has its own matrix, `..._step` elements after the one before.
#pragma once

#include "ir/ops.h"

namespace tempera {

inline constexpr int kWinogradTile = 4;   // results in a row of a tile
inline constexpr int kWinogradPatch = 6;  // values in a row of a patch
inline constexpr int kWinogradPlaces = kWinogradPatch * kWinogradPatch;
// Number of output channels whose weights are together in memory: (out / 32, in, 9, 32) in f32, and (out / 32, in / 2,
// 9, 32, 2) in bf16.
inline constexpr int64_t kWinogradPanel = 32;

// Pictures (N, H, W, C) and the tiles of 4 x 4 results that cover them, picture by picture and row by row.
struct WinogradTiles {
  int64_t height = 0, width = 0, out_height = 0, out_width = 0, pad = 0;
  int64_t across() const { return (out_width + kWinogradTile - 1) / kWinogradTile; }
  int64_t per_picture() const { return (out_height + kWinogradTile - 1) / kWinogradTile * across(); }
};

// A block of `count` tiles, the first of which is `first`, and a slice of `out` output channels, the first of which is
// `first_out`.
struct WinogradBlock {
  int64_t first = 0, count = 0;
  int64_t first_out = 0, out = 0;
};

// The matrices of a block. values (tiles, channels), taps in panels (out / panel, channels, panel), products (tiles,
// out). Rows of values and products are values_row and products_row elements apart.
struct WinogradScratch {
  float *values = nullptr, *taps = nullptr, *products = nullptr;
  int64_t channels = 0;
  int64_t values_row = 0, products_row = 0;
  int64_t values_step = 0, taps_step = 0, products_step = 0;
};

// The place of the results. residual may be null.
struct WinogradOutput {
  DType type = DType::f32;
  std::byte* data = nullptr;
  const std::byte* residual = nullptr;
  const float* bias = nullptr;
  Activation activation = Activation::none;
  int64_t channels = 0;  // of a pixel
};

struct WinogradIsa {
  int64_t rows = 0;  // tiles that are multiplied at a time: in memory, blocks are padded to a multiple of it
  // Transforms the weights of the pairs [begin, end) of input channels to scratch.taps, panel after panel of the slice.
  void (*taps)(DType type, const std::byte* weights, const WinogradBlock& block, int64_t begin, int64_t end,
               const WinogradScratch& scratch) = nullptr;
  // Transforms the patches of pictures x to scratch.values.
  void (*values)(DType type, const std::byte* x, const WinogradTiles& tiles, const WinogradBlock& block,
                 const WinogradScratch& scratch) = nullptr;
  void (*multiply)(const WinogradBlock& block, const WinogradScratch& scratch) = nullptr;
  void (*results)(const WinogradTiles& tiles, const WinogradBlock& block, const WinogradScratch& scratch,
                  const WinogradOutput& output) = nullptr;
};

const WinogradIsa& winograd_isa();

}  // namespace tempera
