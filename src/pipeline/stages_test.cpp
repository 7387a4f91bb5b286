// What a plan says of a decoder in tiles: sums over the tiles, the memory of the largest, weights once per packing.
#include "pipeline/decoder_programs.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tempera {
namespace {

Program program(const std::string& layout, size_t arena, size_t stream, size_t steps) {
  Program p;
  p.memory = {.arena = arena, .weights = 1000, .io = 10, .stream = stream};
  p.weights.push_back({{{"w"}}, {DType::f32, {4}}, 0, 1, 0, 1000, layout});
  p.steps.resize(steps);
  p.flops_step = 100;
  return p;
}

TEST(DecoderPrograms, AddUpOverTheTiles) {
  DecoderPrograms programs;
  programs.grid = make_tile_grid(TileRule::kl, 12, 20, 8, 8);
  programs.shapes = {program("a", 70, 5, 3), program("b", 60, 30, 4), program("a", 10, 1, 5)};
  programs.shape_of = {0, 0, 0, 1, 2, 2, 2, 1};
  EXPECT_EQ(weight_bytes(programs), 2000u);  // two ways to pack
  const StagePlan stage = decoder_stage(programs, 3);
  EXPECT_EQ(stage.runs, 3u);
  EXPECT_EQ(stage.steps, 3u * 3 + 2 * 4 + 3 * 5);
  EXPECT_EQ(stage.flops, 800);
  EXPECT_EQ(stage.weights, 2000u);
  EXPECT_EQ(stage.activations, 60u);  // of the shape that wants most in all
  EXPECT_EQ(stage.stream, 30u);
  EXPECT_EQ(stage.io, 30u);
  EXPECT_EQ(describe(programs, {}), "AutoencoderKL in 8 tiles of 64x64");
}

TEST(DecoderPrograms, AreOnePerShapeOfTile) {
  const VaeConfig vae = preset("tiny").vae;
  const DecoderOptions tiles{.tiling = true, .tile_pixels = 64};
  std::vector<std::string> inputs;
  const DecoderPrograms programs =
      build_decoder_programs(vae, tiles, choose_tiles(vae, tiles, 12, 20), DType::f32, [&](const Graph& graph) {
        inputs.push_back(to_string(graph.nodes()[0].output.shape));
        return Program();
      });
  EXPECT_EQ(inputs, (std::vector<std::string>{"1x8x8x4", "1x8x2x4", "1x6x8x4", "1x6x2x4"}));
  EXPECT_EQ(programs.shape_of, (std::vector<size_t>{0, 0, 0, 1, 2, 2, 2, 3}));
}

TEST(DecoderPrograms, TakeOnlyTilesThatOverlapByWholePixels) {
  const VaeConfig vae = preset("tiny").vae;
  const auto choose = [&](int pixels, bool tiny) {
    DecoderOptions options{.tiling = true, .tile_pixels = pixels};
    if (tiny) options.tiny = tiny_vae_preset("tiny");
    return choose_tiles(vae, options, 40, 40);
  };
  EXPECT_EQ(choose(96, false).tile, 12);
  EXPECT_THROW(choose(96, true), Error);
  EXPECT_EQ(choose(128, true).tile, 16);
  EXPECT_THROW(choose(40, false), Error);
}

TEST(DecoderPrograms, ComputeInWhatIsAskedFor) {
  const VaeConfig vae = preset("tiny").vae;
  const auto computes_in = [&](const DecoderOptions& options, DType dtype) {
    std::vector<DType> products;
    build_decoder_programs(vae, options, choose_tiles(vae, options, 8, 8), dtype, [&](const Graph& graph) {
      for (const Node& node : graph.nodes())
        if (std::holds_alternative<Conv2d>(node.op))
          products.push_back(graph.nodes()[static_cast<size_t>(node.inputs[1])].output.dtype);
      return Program();
    });
    return products.at(0);
  };
  DecoderOptions tiny;
  tiny.tiny = tiny_vae_preset("tiny");
  EXPECT_EQ(computes_in({}, DType::f16), DType::f16);
  EXPECT_EQ(computes_in(tiny, DType::f16), DType::f16);
  EXPECT_EQ(computes_in({.dtype = DType::f32}, DType::f16), DType::f32);
  EXPECT_EQ(computes_in({.dtype = DType::f16}, DType::f32), DType::f16);
  EXPECT_EQ(computes_in({}, DType::f32), DType::f32);
}

}  // namespace
}  // namespace tempera
