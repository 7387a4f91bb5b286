#include "pipeline/tiling.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/error.h"

namespace tempera {
namespace {

size_t size(int count) {
  return static_cast<size_t>(count);
}

std::vector<TileSpan> spans(int length, int tile, int overlap) {
  std::vector<TileSpan> all;
  for (int begin = 0; begin < length; begin += tile - overlap) all.push_back({begin, std::min(tile, length - begin)});
  return all;
}

// The destination of blended values, (height * scale, width * scale, channels), row by row.
struct Canvas {
  int scale = 1;
  size_t channels = 0;
  std::function<void(size_t first, std::span<const float> values)> write;
};

// Where the next tile belongs and how large it is, in pixels of the canvas.
class Walk {
 public:
  Walk(const TileGrid& grid, int scale) : grid_(grid), scale_(scale) {}

  size_t row() const { return next_ / grid_.columns.size(); }
  size_t column() const { return next_ % grid_.columns.size(); }
  size_t top() const { return pixels(grid_.rows[row()].begin); }
  size_t left() const { return pixels(grid_.columns[column()].begin); }
  size_t height() const { return pixels(grid_.rows[row()].size); }
  size_t width() const { return pixels(grid_.columns[column()].size); }
  size_t pixels(int latent) const { return size(latent * scale_); }
  void advance() { ++next_; }

 private:
  const TileGrid& grid_;
  int scale_;
  size_t next_ = 0;
};

// diffusers AutoencoderKL: every tile fades in from the one above, then from the one on its left, each as it came out
// of its own blending; what reaches beyond the next tile's beginning is cut off. Only the edges of neighbours are kept.
class KlBlender final : public TileBlender {
 public:
  KlBlender(const TileGrid& grid, Canvas canvas)
      : walk_(grid, canvas.scale),
        canvas_(std::move(canvas)),
        picture_width_(walk_.pixels(grid.width)),
        above_(grid.columns.size()) {
    extent_ = walk_.pixels(grid.overlap);
    kept_ = walk_.pixels(grid.tile - grid.overlap);
  }

  void add(std::span<float> tile) override {
    const size_t channels = canvas_.channels;
    const size_t height = walk_.height(), width = walk_.width(), row = width * channels;
    TEMPERA_ASSERT(tile.size() == height * row);
    Edge& above = above_[walk_.column()];
    if (walk_.row() > 0) {
      const size_t extent = std::min({above.length, height, extent_});
      const float* from = above.values.data() + (above.length - extent) * row;
      for (size_t y = 0; y < extent; ++y) fade(&tile[y * row], from + y * row, row, y, extent);
    }
    if (walk_.column() > 0) {
      const size_t extent = std::min({left_.length, width, extent_}), left_row = left_.length * channels;
      const float* from = left_.values.data() + (left_.length - extent) * channels;
      for (size_t y = 0; y < height; ++y)
        for (size_t x = 0; x < extent; ++x)
          fade(&tile[y * row + x * channels], from + y * left_row + x * channels, channels, x, extent);
    }
    write(tile, std::min(height, kept_), std::min(width, kept_));
    above.length = std::min(height, extent_);
    above.values.assign(tile.end() - static_cast<std::ptrdiff_t>(above.length * row), tile.end());
    left_.length = std::min(width, extent_);
    left_.values.clear();
    for (size_t y = 1; y <= height; ++y) {
      const float* end = tile.data() + y * row;
      left_.values.insert(left_.values.end(), end - left_.length * channels, end);
    }
    walk_.advance();
  }

 private:
  // The last rows, or columns, of a tile.
  struct Edge {
    size_t length = 0;
    std::vector<float> values;
  };

  // Weights as Python has them: doubles, rounded to float when they meet the pixels.
  static void fade(float* to, const float* from, size_t count, size_t at, size_t extent) {
    const double share = static_cast<double>(at) / static_cast<double>(extent);
    const auto in = static_cast<float>(share), out = static_cast<float>(1 - share);
    for (size_t i = 0; i < count; ++i) to[i] = from[i] * out + to[i] * in;
  }

  void write(std::span<const float> tile, size_t rows, size_t columns) {
    for (size_t y = 0; y < rows; ++y)
      canvas_.write(((walk_.top() + y) * picture_width_ + walk_.left()) * canvas_.channels,
                    tile.subspan(y * walk_.width() * canvas_.channels, columns * canvas_.channels));
  }

  Walk walk_;
  Canvas canvas_;
  size_t picture_width_, extent_ = 0, kept_ = 0;
  std::vector<Edge> above_;  // by column
  Edge left_;
};

// diffusers AutoencoderTiny: tiles are laid over what is there, through a mask that rises from 0 at the edges they
// share with earlier ones to 1 where the overlap ends. What is there is held from the tile row's beginning on.
class TinyBlender final : public TileBlender {
 public:
  TinyBlender(const TileGrid& grid, Canvas canvas)
      : grid_(grid),
        walk_(grid, canvas.scale),
        canvas_(std::move(canvas)),
        row_(walk_.pixels(grid.width) * canvas_.channels) {
    extent_ = walk_.pixels(grid.overlap);
    band_.resize(row_ * walk_.pixels(std::min(grid.tile, grid.height)));
  }

  void add(std::span<float> tile) override {
    const size_t height = walk_.height(), width = walk_.width(), channels = canvas_.channels;
    TEMPERA_ASSERT(tile.size() == height * width * channels);
    for (size_t y = 0; y < height; ++y) {
      const float down = walk_.row() == 0 ? 1 : mask(y);
      float* to = &band_[y * row_ + walk_.left() * channels];
      const float* from = &tile[y * width * channels];
      for (size_t x = 0; x < width; ++x) {
        const float share = down * (walk_.column() == 0 ? 1 : mask(x)), rest = 1 - share;
        for (size_t c = x * channels; c < (x + 1) * channels; ++c) to[c] = share * from[c] + rest * to[c];
      }
    }
    const bool row_ends = walk_.column() + 1 == grid_.columns.size();
    if (row_ends) finish_row();
    walk_.advance();
  }

 private:
  float mask(size_t at) const {
    return std::min(static_cast<float>(at) / static_cast<float>(std::max<size_t>(extent_, 2) - 1), 1.0f);
  }

  // What the next tile row does not touch is final; the rest moves to the band's beginning.
  void finish_row() {
    const bool last = walk_.row() + 1 == grid_.rows.size();
    const size_t rows = last ? walk_.height() : walk_.pixels(grid_.tile - grid_.overlap);
    const auto end = band_.begin() + static_cast<std::ptrdiff_t>(rows * row_);
    canvas_.write(walk_.top() * row_, std::span(band_.begin(), end));
    std::fill(std::copy(end, band_.end(), band_.begin()), band_.end(), 0.0f);
  }

  const TileGrid& grid_;
  Walk walk_;
  Canvas canvas_;
  size_t row_, extent_ = 0;  // values in a row of the picture; pixels of an overlap
  std::vector<float> band_;  // a tile high, as wide as the picture
};

std::unique_ptr<TileBlender> blender_of(const TileGrid& grid, Canvas canvas) {
  if (grid.rule == TileRule::kl) return std::make_unique<KlBlender>(grid, std::move(canvas));
  return std::make_unique<TinyBlender>(grid, std::move(canvas));
}

}  // namespace

int tile_unit(TileRule rule) {
  return rule == TileRule::kl ? 4 : 8;
}

TileGrid one_tile(int height, int width, int scale) {
  return {TileRule::kl, scale, std::max(height, width), 0, height, width, {{0, height}}, {{0, width}}};
}

TileGrid make_tile_grid(TileRule rule, int height, int width, int tile, int scale) {
  TEMPERA_ASSERT(tile > 0 && tile % tile_unit(rule) == 0);
  if (height <= tile && width <= tile) return one_tile(height, width, scale);
  const int overlap = tile / tile_unit(rule);
  return {rule, scale, tile, overlap, height, width, spans(height, tile, overlap), spans(width, tile, overlap)};
}

int default_tile(TileRule rule, int height, int width, int native) {
  const int unit = tile_unit(rule);
  int tile = native;
  while (tile >= std::max(height, width) && tile / 2 >= unit) tile /= 2;
  return std::max(tile / unit, 1) * unit;
}

std::unique_ptr<TileBlender> make_blender(const TileGrid& grid, std::span<uint8_t> rgb) {
  return blender_of(grid, {grid.scale, 3, [rgb](size_t first, std::span<const float> values) {
                             std::ranges::transform(values, &rgb[first], to_rgb8);
                           }});
}

std::unique_ptr<TileBlender> make_blender(const TileGrid& grid, std::span<float> latent) {
  const size_t channels = latent.size() / (size(grid.height) * size(grid.width));
  return blender_of(grid, {1, channels, [latent](size_t first, std::span<const float> values) {
                             std::ranges::copy(values, &latent[first]);
                           }});
}

// In float as diffusers: its result decides ties. A nan is black.
uint8_t to_rgb8(float value) {
  const float half = value / 2 + 0.5f;
  const float unit = half > 0 ? std::min(half, 1.0f) : 0.0f;
  return static_cast<uint8_t>(std::nearbyint(unit * 255));
}

}  // namespace tempera
