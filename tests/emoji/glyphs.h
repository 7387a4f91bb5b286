// Small copies of the training pictures of the embedded model, to find the ones that a drawing resembles. tools/train/
// make_test_data.mjs writes them.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "image/picture_file.h"
#include "tempera/tempera.h"

namespace tempera::test {

std::filesystem::path emoji_model();  // models/emoji-xl of the source tree

// The means of the 16 x 16 blocks of a picture of 256 x 256: (16, 16, 3), 0 to 255.
constexpr int kTile = 16;
using Tile = std::array<float, kTile * kTile * 3>;
Tile reduced(const Image& image);

// The Euclidean distance over all values.
float distance(const Tile& a, const Tile& b);

struct Glyph {
  std::string style, name;  // "noto", "red apple"
  Tile tile;
};

class Glyphs {
 public:
  Glyphs();  // reads tests/data/emoji; throws if that fails

  const std::vector<Glyph>& all() const { return all_; }
  std::vector<const Glyph*> of_style(std::string_view style) const;
  std::vector<const Glyph*> of_name(std::string_view name) const;

 private:
  std::vector<Glyph> all_;
};

// The number of candidates that are nearer to the picture than the one of that index; 0 if it is the nearest.
size_t rank_of(const Tile& picture, const std::vector<const Glyph*>& candidates, size_t index);
const Glyph& nearest(const Tile& picture, const std::vector<const Glyph*>& candidates);

}  // namespace tempera::test
