// Packing is limited by memory: 5.1 GB of UNet weights are converted and reordered at every start. Blocks of rows are
// converted into a buffer that stays in the first-level cache. Then they are written in tiles of 4 x 4 32-bit units. A
// unit is one f32, or two bf16 that are neighbours along `in`. Every blocked layout of oneDNN has such tiles. Other
// layouts are written element by element.
#include "backend/cpu/packing/packing.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/error.h"
#include "base/half.h"
#include "base/parallel.h"

namespace tempera {
namespace {

constexpr int64_t kTile = 4;        // units
constexpr int64_t kRows = 32;       // rows converted at a time
constexpr int64_t kBuffer = 16384;  // bytes for them: half of a first-level cache

// Offsets of the indices [0, n) of dimension `dim`.
std::vector<int64_t> offsets(const Blocking& b, int dim, int64_t n) {
  std::vector<int64_t> table(static_cast<size_t>(n));
  if (dim < 0) return table;
  for (int64_t i = 0; i < n; ++i) {
    int64_t rest = i, step = 1, offset = 0;
    for (size_t k = b.blocks.size(); k-- > 0; step *= b.blocks[k])
      if (b.block_dims[k] == dim) {
        offset += rest % b.blocks[k] * step;
        rest /= b.blocks[k];
      }
    table[static_cast<size_t>(i)] = offset + rest * b.strides[static_cast<size_t>(dim)];
  }
  return table;
}

using Unit4 = uint32_t __attribute__((vector_size(16)));

// to[k][j] = from[j * stride + k].
void transpose_tile(const uint32_t* from, int64_t stride, uint32_t* const to[kTile]) {
  Unit4 r[kTile];
  for (int64_t j = 0; j < kTile; ++j) std::memcpy(&r[j], from + j * stride, sizeof r[j]);
  const Unit4 a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5), b = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
  const Unit4 c = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7), d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
  const Unit4 columns[kTile] = {__builtin_shufflevector(a, b, 0, 1, 4, 5), __builtin_shufflevector(a, b, 2, 3, 6, 7),
                                __builtin_shufflevector(c, d, 0, 1, 4, 5), __builtin_shufflevector(c, d, 2, 3, 6, 7)};
  for (int64_t k = 0; k < kTile; ++k) std::memcpy(to[k], &columns[k], sizeof columns[k]);
}

// Packs one weight into its layout.
class Packer {
 public:
  Packer(const WeightLayout& layout, const WeightRows& rows, int64_t first_row, std::byte* destination)
      : layout_(layout),
        rows_(rows),
        first_row_(first_row),
        destination_(destination),
        size_(static_cast<int64_t>(size_of(layout.dtype))),
        unit_(4 / size_),
        taps_(layout.shape.taps()),
        in_step_(std::max<int64_t>(16, kBuffer / (kRows * size_ * taps_) / 16 * 16)) {}

  // Band after band of rows, so that little of a file is in memory at a time.
  void run() const {
    const WeightShape& s = layout_.shape;
    const bool plain = is_plain(), tiled = !plain && has_tiles();
    if (!plain && layout_.elements != s.out * s.in * taps_) std::memset(destination_, 0, layout_.bytes());
    const int64_t band = std::max<int64_t>(1, kPackPiece / (s.in * taps_ * kRows)) * kRows;
    for (int64_t begin = 0; begin < s.out; begin += band) {
      const int64_t end = std::min(begin + band, s.out);
      if (plain) {
        copy(begin, end);
      } else {
        reorder(begin, end, tiled);
      }
      rows_.done(first_row_ + begin, first_row_ + end, s.in * taps_);
    }
  }

 private:
  void copy(int64_t first, int64_t last) const {
    const int64_t n = layout_.shape.in * taps_;
    const auto body = [&](int64_t begin, int64_t end) {
      rows_.read({first_row_ + first + begin, end - begin, 0, n}, layout_.dtype,
                 destination_ + (first + begin) * n * size_, n * size_);
    };
    parallel_for(last - first, 1, std::cref(body));
  }

  // first: a multiple of kRows.
  void reorder(int64_t first, int64_t last, bool tiled) const {
    const int64_t across = (layout_.shape.in + in_step_ - 1) / in_step_, down = (last - first + kRows - 1) / kRows;
    const auto body = [&](int64_t begin, int64_t end) {
      std::vector<std::byte> raw(static_cast<size_t>(kRows * in_step_ * taps_ * size_)), sorted(raw.size());
      for (int64_t i = begin; i < end; ++i)
        block(first + i / across * kRows, i % across * in_step_, tiled, raw, sorted);
    };
    parallel_for(across * down, 1, std::cref(body));
  }

  // Whether the layout is the checkpoint's own.
  bool is_plain() const {
    const WeightShape& s = layout_.shape;
    const auto linear = [](const std::vector<int64_t>& offsets, int64_t step) {
      for (size_t i = 0; i < offsets.size(); ++i)
        if (offsets[i] != static_cast<int64_t>(i) * step) return false;
      return true;
    };
    return linear(layout_.offset_tap, 1) && linear(layout_.offset_in, taps_) &&
           linear(layout_.offset_out, taps_ * s.in);
  }

  // Whether runs of four rows are neighbours in units, and the parts of a unit too.
  bool has_tiles() const {
    const auto &out = layout_.offset_out, &in = layout_.offset_in;
    for (size_t o = 0; o < out.size(); ++o)
      if (out[o] != out[o / kTile * kTile] + static_cast<int64_t>(o % kTile) * unit_) return false;
    for (size_t i = 0; i < in.size(); ++i)
      if (in[i] != in[i / static_cast<size_t>(unit_) * static_cast<size_t>(unit_)] + static_cast<int64_t>(i) % unit_)
        return false;
    return true;
  }

  // Rows [o0, o0 + kRows) by columns [i0, i0 + in_step_). raw: [row][in][tap]; sorted: [row][tap][in].
  void block(int64_t o0, int64_t i0, bool tiled, std::vector<std::byte>& raw, std::vector<std::byte>& sorted) const {
    const int64_t rows = std::min(kRows, layout_.shape.out - o0), in = std::min(in_step_, layout_.shape.in - i0);
    const int64_t row_bytes = in_step_ * taps_ * size_;
    rows_.read({first_row_ + o0, rows, i0 * taps_, in * taps_}, layout_.dtype, raw.data(), row_bytes);
    const std::byte* source = raw.data();
    if (taps_ > 1) {
      for (int64_t o = 0; o < rows; ++o) {
        if (size_ == 4) {
          sort_taps<uint32_t>(raw.data() + o * row_bytes, sorted.data() + o * row_bytes, in);
        } else {
          sort_taps<uint16_t>(raw.data() + o * row_bytes, sorted.data() + o * row_bytes, in);
        }
      }
      source = sorted.data();
    }
    for (int64_t t = 0; t < taps_; ++t) {
      const std::byte* plane = source + t * in_step_ * size_;
      const int64_t tile_rows = tiled ? rows / kTile * kTile : 0,
                    tile_in = tiled ? in / (kTile * unit_) * kTile * unit_ : 0;
      for (int64_t i = 0; i < tile_in; i += kTile * unit_)
        for (int64_t o = 0; o < tile_rows; o += kTile)
          tile(plane + o * row_bytes + i * size_, row_bytes, o0 + o, i0 + i, t);
      for (int64_t o = 0; o < rows; ++o)
        for (int64_t i = o < tile_rows ? tile_in : 0; i < in; ++i)
          std::memcpy(at(o0 + o, i0 + i, t), plane + o * row_bytes + i * size_, static_cast<size_t>(size_));
    }
  }

  template <class T>
  void sort_taps(const std::byte* raw, std::byte* sorted, int64_t in) const {
    const T* from = reinterpret_cast<const T*>(raw);
    T* to = reinterpret_cast<T*>(sorted);
    for (int64_t t = 0; t < taps_; ++t)
      for (int64_t i = 0; i < in; ++i) to[t * in_step_ + i] = from[i * taps_ + t];
  }

  void tile(const std::byte* from, int64_t row_bytes, int64_t o, int64_t i, int64_t t) const {
    uint32_t* to[kTile];
    for (int64_t k = 0; k < kTile; ++k) to[k] = reinterpret_cast<uint32_t*>(at(o, i + k * unit_, t));
    transpose_tile(reinterpret_cast<const uint32_t*>(from), row_bytes / 4, to);
  }

  std::byte* at(int64_t o, int64_t i, int64_t t) const {
    return destination_ + (layout_.offset_out[static_cast<size_t>(o)] + layout_.offset_in[static_cast<size_t>(i)] +
                           layout_.offset_tap[static_cast<size_t>(t)]) *
                              size_;
  }

  const WeightLayout& layout_;
  const WeightRows& rows_;
  int64_t first_row_;
  std::byte* destination_;
  int64_t size_, unit_, taps_;
  int64_t in_step_;  // columns converted at a time
};

}  // namespace

WeightLayout weight_layout(const Blocking& blocking, DType dtype, const WeightDims& dims, const WeightShape& shape) {
  WeightLayout layout{shape, dtype, offsets(blocking, dims.out, shape.out), offsets(blocking, dims.in, shape.in), {},
                      1,     {}};
  const auto y = offsets(blocking, dims.y, shape.kernel), x = offsets(blocking, dims.x, shape.kernel);
  for (int64_t i : y)
    for (int64_t j : x) layout.offset_tap.push_back(i + j);
  for (int64_t n : blocking.padded) layout.elements *= n;
  layout.name = fmt::format("{} {}x{}x{} {}/{}/{}", tempera::name(dtype), shape.out, shape.in, shape.taps(),
                            fmt::join(blocking.strides, ","), fmt::join(blocking.blocks, ","),
                            fmt::join(blocking.block_dims, ","));
  return layout;
}

WeightRows::WeightRows(std::span<const WeightPart> parts, int64_t rows, int64_t row_elements, int64_t skip)
    : row_elements_(row_elements), skip_(skip) {
  int64_t row = 0;
  for (const WeightPart& part : parts) {
    const auto elements = static_cast<int64_t>(part.elements);
    TEMPERA_ASSERT(elements % row_elements == 0);
    parts_.push_back({row, row + elements / row_elements, &part});
    row = parts_.back().end;
  }
  TEMPERA_ASSERT(row == rows);
}

void WeightRows::read(const Block& block, DType dtype, std::byte* destination, int64_t pitch) const {
  for (const Part& p : parts_) {
    const int64_t begin = std::max(block.row, p.begin), end = std::min(block.row + block.rows, p.end);
    if (begin >= end) continue;
    const int64_t first = (begin - p.begin) * row_elements_ + skip_ + block.first;
    read_block(*p.part,
               {static_cast<size_t>(first), static_cast<size_t>(end - begin), static_cast<size_t>(block.count),
                static_cast<size_t>(row_elements_)},
               dtype, destination + (begin - block.row) * pitch, static_cast<size_t>(pitch));
  }
}

void WeightRows::done(int64_t begin, int64_t end, int64_t count) const {
  if (skip_ + count < row_elements_) return;
  for (const Part& p : parts_) {
    const int64_t first = std::max(begin, p.begin), last = std::min(end, p.end);
    if (first >= last) continue;
    p.part->reader->done(static_cast<size_t>((first - p.begin) * row_elements_),
                         static_cast<size_t>((last - first) * row_elements_));
  }
}

void pack_weight(const WeightLayout& layout, const WeightRows& rows, int64_t first_row, std::byte* destination) {
  Packer(layout, rows, first_row, destination).run();
}

}  // namespace tempera
