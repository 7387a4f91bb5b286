#include "glyphs.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>

#include "base/json.h"
#include "image/picture_file.h"

namespace tempera::test {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(TEMPERA_SOURCE_DIR) / "tests/data/emoji";

// One tile of a sheet, without means.
Tile tile_of(const Image8& sheet, int left, int top) {
  Tile tile{};
  for (int y = 0; y < kTile; ++y) {
    const size_t from =
        (static_cast<size_t>(top + y) * static_cast<size_t>(sheet.width) + static_cast<size_t>(left)) * 3;
    for (size_t i = 0; i < kTile * 3; ++i) tile[static_cast<size_t>(y) * kTile * 3 + i] = sheet.rgb[from + i];
  }
  return tile;
}

}  // namespace

std::filesystem::path emoji_model() {
  return std::filesystem::path(TEMPERA_SOURCE_DIR) / "models/emoji-xl";
}

Tile reduced(const Image& image) {
  if (image.width % kTile != 0 || image.height % kTile != 0)
    throw std::runtime_error("a picture that tiles do not fill");
  const int across = image.width / kTile, down = image.height / kTile;
  Tile sums{};
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const size_t to = static_cast<size_t>(y / down * kTile + x / across) * 3;
      const size_t from = (static_cast<size_t>(y) * static_cast<size_t>(image.width) + static_cast<size_t>(x)) * 3;
      for (size_t c = 0; c < 3; ++c) sums[to + c] += image.rgb[from + c];
    }
  }
  for (float& sum : sums) sum /= static_cast<float>(across * down);
  return sums;
}

float distance(const Tile& a, const Tile& b) {
  float sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

Glyphs::Glyphs() {
  const Image8 sheet = load_picture(kFolder / "glyphs.png").image;
  const nlohmann::json list = read_json_file(kFolder / "glyphs.json");
  const int columns = list.at("columns").get<int>();
  if (list.at("tile").get<int>() != kTile) throw std::runtime_error("glyphs.json is of another tile");
  for (const nlohmann::json& entry : list.at("glyphs")) {
    const int index = static_cast<int>(all_.size());
    all_.push_back({entry.at(0).get<std::string>(), entry.at(1).get<std::string>(),
                    tile_of(sheet, index % columns * kTile, index / columns * kTile)});
  }
}

std::vector<const Glyph*> Glyphs::of_style(std::string_view style) const {
  std::vector<const Glyph*> found;
  for (const Glyph& glyph : all_)
    if (glyph.style == style) found.push_back(&glyph);
  return found;
}

std::vector<const Glyph*> Glyphs::of_name(std::string_view name) const {
  std::vector<const Glyph*> found;
  for (const Glyph& glyph : all_)
    if (glyph.name == name) found.push_back(&glyph);
  return found;
}

size_t rank_of(const Tile& picture, const std::vector<const Glyph*>& candidates, size_t index) {
  const float own = distance(picture, candidates.at(index)->tile);
  return static_cast<size_t>(std::count_if(candidates.begin(), candidates.end(),
                                           [&](const Glyph* other) { return distance(picture, other->tile) < own; }));
}

const Glyph& nearest(const Tile& picture, const std::vector<const Glyph*>& candidates) {
  return **std::min_element(candidates.begin(), candidates.end(), [&](const Glyph* a, const Glyph* b) {
    return distance(picture, a->tile) < distance(picture, b->tile);
  });
}

}  // namespace tempera::test
