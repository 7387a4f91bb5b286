// The encoder in tiles against diffusers' loops (AutoencoderKL._tiled_encode, AutoencoderTiny._tiled_encode): every
// tile is encoded alone from its pixels, then all are blended.
#include "pipeline/encode_stage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "models/vae.h"
#include "passes/passes.h"
#include "pipeline/placement.h"
#include "support/backends.h"
#include "support/random_checkpoint.h"
#include "support/reference.h"

namespace tempera {
namespace {

using Floats = std::vector<float>;

constexpr int kHeight = 12, kWidth = 20, kTile = 8, kScale = 8;  // of the latent; pixels per latent pixel

struct Array {
  int height = 0, width = 0, channels = 0;
  Floats values = {};
  float& at(int y, int x, int c) {
    return values[(static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)) *
                      static_cast<size_t>(channels) +
                  static_cast<size_t>(c)];
  }
};

Array random_picture() {
  Array picture{kHeight * kScale, kWidth * kScale, 3, Floats(size_t{kHeight} * kScale * kWidth * kScale * 3)};
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (float& v : picture.values) v = uniform(generator);
  return picture;
}

class EncodeStage : public ::testing::TestWithParam<std::string> {
 protected:
  EncodeStage() { test::forbid_tf32(); }

  Executable& loaded(const Graph& graph) {
    checkpoints_.push_back(std::make_unique<test::RandomCheckpoint>(graph));
    Program program =
        place(lower(optimize(graph), backend_->target()), Role::encode, placement_, backend_->target().alignment);
    lone_.push_back(std::make_unique<LoneExecutable>(std::move(program), *backend_, *queue_, *checkpoints_.back()));
    (*lone_.back())->load();
    return **lone_.back();
  }

  // The result of the stage, and the numbers of its reports.
  Floats encoded(const DecoderOptions& options, const Floats& picture) {
    TileGraphs tiled = encoder_graphs(vae_, options, choose_tiles(vae_, options, kHeight, kWidth), DType::f32);
    std::vector<Executable*> programs;
    for (const Graph& graph : tiled.graphs) programs.push_back(&loaded(graph));
    reports_.clear();
    return encode(tiled.tiles, programs, picture, {}, [&](size_t done, size_t of) { reports_.emplace_back(done, of); });
  }

  Array encode_alone(const DecoderOptions& options, Array& picture, int top, int left, int height, int width) {
    const VaeGraphOptions shape{.height = height, .width = width};
    Executable& e =
        loaded(options.tiny ? tiny_vae_encoder_graph(*options.tiny, shape) : vae_encoder_graph(vae_, shape));
    Floats pixels;
    for (int y = 0; y < height * kScale; ++y)
      for (int x = 0; x < width * kScale; ++x)
        for (int c = 0; c < 3; ++c) pixels.push_back(picture.at(top * kScale + y, left * kScale + x, c));
    e.write_input("image", pixels);
    e.run();
    return {height, width, options.tiny ? 4 : 8, e.read_output(options.tiny ? "latent" : "moments")};
  }

  Placement placement_ = {};
  const VaeConfig vae_ = preset("tiny").vae;
  const std::unique_ptr<Backend> backend_ = test::make_backend(GetParam());
  const std::unique_ptr<Queue> queue_ = backend_->make_queue();
  std::vector<std::unique_ptr<test::RandomCheckpoint>> checkpoints_;
  std::vector<std::unique_ptr<LoneExecutable>> lone_;
  std::vector<std::pair<size_t, size_t>> reports_;
};

TEST_P(EncodeStage, BlendsMomentsAsAutoencoderKl) {
  const DecoderOptions options{.tiling = true, .tile_pixels = kTile * kScale};
  Array picture = random_picture();
  constexpr int kStep = kTile * 3 / 4, kExtent = kTile / 4;
  std::vector<std::vector<Array>> rows;
  for (int i = 0; i < kHeight; i += kStep) {
    rows.emplace_back();
    for (int j = 0; j < kWidth; j += kStep)
      rows.back().push_back(
          encode_alone(options, picture, i, j, std::min(kTile, kHeight - i), std::min(kTile, kWidth - j)));
  }
  Array expected{kHeight, kWidth, 8, Floats(size_t{kHeight} * kWidth * 8)};
  const auto mix = [](float a, float b, int at, int extent) {
    const float share = static_cast<float>(at) / static_cast<float>(extent);
    return a * (1 - share) + b * share;
  };
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t j = 0; j < rows[i].size(); ++j) {
      Array& b = rows[i][j];
      const int e = i == 0 ? 0 : std::min({rows[i - 1][j].height, b.height, kExtent});
      for (int y = 0; y < e; ++y)
        for (int x = 0; x < b.width; ++x)
          for (int c = 0; c < 8; ++c)
            b.at(y, x, c) = mix(rows[i - 1][j].at(rows[i - 1][j].height - e + y, x, c), b.at(y, x, c), y, e);
      const int f = j == 0 ? 0 : std::min({rows[i][j - 1].width, b.width, kExtent});
      for (int y = 0; y < b.height; ++y)
        for (int x = 0; x < f; ++x)
          for (int c = 0; c < 8; ++c)
            b.at(y, x, c) = mix(rows[i][j - 1].at(y, rows[i][j - 1].width - f + x, c), b.at(y, x, c), x, f);
      for (int y = 0; y < std::min(b.height, kStep); ++y)
        for (int x = 0; x < std::min(b.width, kStep); ++x)
          for (int c = 0; c < 8; ++c)
            expected.at(static_cast<int>(i) * kStep + y, static_cast<int>(j) * kStep + x, c) = b.at(y, x, c);
    }
  const Floats found = encoded(options, picture.values);
  EXPECT_LE(test::relative_error(found, expected.values), 1e-5);
  EXPECT_EQ(reports_.size(), 8u);
  EXPECT_EQ(reports_.back(), (std::pair<size_t, size_t>(8, 8)));
  EXPECT_GT(test::relative_error(encoded({}, picture.values), expected.values), 1e-3) << "tiles have own norms";
}

TEST_P(EncodeStage, BlendsLatentsAsAutoencoderTiny) {
  const DecoderOptions options{.tiny = tiny_vae_preset("tiny"), .tiling = true, .tile_pixels = 2 * kTile * kScale};
  Array picture = random_picture();
  constexpr int kSide = 2 * kTile, kBlend = kSide / 8, kStep = kSide - kBlend;
  Array expected{kHeight, kWidth, 4, Floats(size_t{kHeight} * kWidth * 4)};
  const auto mask = [](int begin, int at) {
    return begin == 0 ? 1 : std::min(static_cast<float>(at) / (kBlend - 1), 1.0f);
  };
  for (int i = 0; i < kHeight; i += kStep)
    for (int j = 0; j < kWidth; j += kStep) {
      Array b = encode_alone(options, picture, i, j, std::min(kSide, kHeight - i), std::min(kSide, kWidth - j));
      for (int y = 0; y < b.height; ++y)
        for (int x = 0; x < b.width; ++x)
          for (int c = 0; c < 4; ++c) {
            const float m = mask(i, y) * mask(j, x);
            float& to = expected.at(i + y, j + x, c);
            to = m * b.at(y, x, c) + (1 - m) * to;
          }
    }
  EXPECT_LE(test::relative_error(encoded(options, picture.values), expected.values), 1e-5);
  EXPECT_EQ(reports_.size(), 2u);
}

TEST_P(EncodeStage, EncodesAWholePictureInOneRun) {
  Array picture = random_picture();
  for (const bool tiny : {false, true}) {
    DecoderOptions options;
    if (tiny) options.tiny = tiny_vae_preset("tiny");
    EXPECT_EQ(encoded(options, picture.values), encode_alone(options, picture, 0, 0, kHeight, kWidth).values);
    EXPECT_EQ(reports_, (std::vector<std::pair<size_t, size_t>>{{1, 1}}));
  }
}

// Wherever the parameters are.
TEST_P(EncodeStage, OffloadingChangesNoBit) {
  const Array picture = random_picture();
  for (const bool tiling : {false, true}) {
    const DecoderOptions options{.tiling = tiling, .tile_pixels = kTile * kScale};
    placement_ = {};
    const Floats resident = encoded(options, picture.values);
    for (const char* offload : {"none", "model", "sequential"}) {
      placement_ = placement_for(offload);
      EXPECT_EQ(encoded(options, picture.values), resident) << offload;
    }
  }
}

// The slow reference is tested only if there is no other backend.
std::vector<std::string> backends() {
  std::vector<std::string> names = test::backend_names();
  if (names.size() > 1) std::erase(names, "reference");
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, EncodeStage, ::testing::ValuesIn(backends()),
                         [](const auto& param_info) { return param_info.param; });

}  // namespace
}  // namespace tempera
