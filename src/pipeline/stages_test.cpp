// The plan of a list of stages, also with decoders in tiles: sums over the tiles, the memory of the largest, parameters
// once in each form.
#include "pipeline/stages.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "pipeline/devices.h"
#include "pipeline/fit.h"

namespace tempera {
namespace {

Program program(const std::string& layout, size_t arena, size_t stream, size_t steps) {
  Program p;
  p.memory = {.arena = arena, .weights = 1024, .io = 10, .stream = stream};
  p.weights.push_back({{{"w"}}, {DType::f32, {256}}, 0, 1, 0, 1024, layout});
  p.steps.resize(steps);
  p.flops_step = 100;
  return p;
}

// One kernel, which keeps 100 bytes for a problem.
Target one_kernel() {
  static const KernelInfo kernel = [] {
    KernelInfo info;
    info.overhead = 100;
    return info;
  }();
  Target target;
  target.kernels = {&kernel};
  target.overhead_step = 1;
  return target;
}

// A latent of 12 x 20 with 4 channels.
StageSpec denoising(ComponentRef component) {
  StageSpec stage{"unet", Role::denoise, std::move(component), {program("u", 50, 0, 2)}, {1}, 6, 3};
  stage.programs[0].memory.kept = 7;
  stage.programs[0].inputs.push_back({"noise", {Space::io, 0, {DType::f32, {1, 12, 20, 4}}}});
  return stage;
}

StageSpec decoding(ComponentRef component) {
  StageSpec stage{"vae_decoder", Role::decode, std::move(component)};
  stage.tiles.grid = make_tile_grid(TileRule::kl, 12, 20, 8, 8);
  stage.programs = {program("a", 70, 5, 3), program("b", 60, 30, 4), program("a", 10, 1, 5)};
  stage.tiles.program_of = {0, 0, 0, 1, 2, 2, 2, 1};
  stage.calls = {3, 2, 3};
  stage.runs = 3;
  return stage;
}

TEST(Stages, AddUp) {
  const Target target = one_kernel();
  const RequestShape shape{.loops = {{.width = 160, .height = 96, .slots = 2}}, .images = 3};
  const StageComponents components;
  const Stages stages{{denoising(components.unet), decoding(components.vae)}};
  const Plan plan = make_plan(preset("tiny"), stages, shape, target, {});
  ASSERT_EQ(plan.stages.size(), 2u);
  const StagePlan& decoder = plan.stages[1];
  EXPECT_EQ(decoder.runs, 3u);
  EXPECT_EQ(decoder.steps, 3u * 3 + 2 * 4 + 3 * 5);
  EXPECT_EQ(decoder.flops, 800);
  EXPECT_EQ(decoder.weights, 2048u);    // two forms
  EXPECT_EQ(decoder.activations, 60u);  // of the shape that needs most in all
  EXPECT_EQ(decoder.stream, 30u);
  EXPECT_EQ(decoder.io, 30u);
  EXPECT_EQ(plan.decoder, "AutoencoderKL in 8 tiles of 64x64");
  EXPECT_EQ(plan.memory.weights, 1024u + 2048);
  EXPECT_EQ(plan.stages[0].kept, 7u);
  EXPECT_EQ(plan.memory.kept, 0u);  // of the stage that needs most
  EXPECT_EQ(plan.memory.activations, 60u);
  EXPECT_EQ(plan.memory.stream, 30u);
  EXPECT_EQ(plan.memory.io, 40u + 3 * 2 * 12 * 20 * 4 * 4);  // with three states of two latents
  EXPECT_EQ(plan.memory.overhead, 2u + 3 + 4 + 5 + 100);     // every step is the same problem
  EXPECT_EQ(plan.memory.peak_bytes, plan.memory.weights + 90 + plan.memory.io + 114);
  EXPECT_EQ(plan.memory.peak_stage, "vae_decoder");
  EXPECT_EQ(plan.flops, 6 * 100 + 3 * 800);
}

// An encoder and a decoder of one autoencoder share the parameters that both read.
TEST(Stages, OfOneComponentShareParameters) {
  const StageComponents components;
  StageSpec denoise = denoising(components.vae);
  denoise.programs[0].weights[0].layout = "b";
  const Plan plan =
      make_plan(preset("tiny"), Stages{{denoise, decoding(components.vae)}}, RequestShape{}, one_kernel(), {});
  EXPECT_EQ(plan.stages[0].weights, 1024u);
  EXPECT_EQ(plan.stages[1].weights, 1024u);  // "a"; "b" is there
}

// The vectors of words are one more input. The parameters are the same, so they are not packed for it.
TEST(Stages, WordsAreAnInputOfTheTextEncoders) {
  const PlanTarget target = plan_target("cuda");
  const auto programs = [&](bool words) {
    RequestShape shape;
    shape.words = words;
    std::vector<Program> list;
    for (const StageSpec& stage : build_text_stages(preset("tiny"), shape, *target.target, {.dtype = DType::f16}).list)
      list.push_back(stage.programs.front());
    return list;
  };
  const std::vector<Program> plain = programs(false), with = programs(true);
  const std::vector<int64_t> widths = {32, 64};
  ASSERT_EQ(with.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(with[i].input("extra").ref.desc, (TensorDesc{DType::f16, {75, widths[i]}}));
    EXPECT_EQ(with[i].inputs.size(), plain[i].inputs.size() + 1);
    EXPECT_EQ(with[i].steps.size(), plain[i].steps.size());
    EXPECT_EQ(with[i].memory.weights, plain[i].memory.weights);
    EXPECT_GE(with[i].memory.io, plain[i].memory.io + static_cast<size_t>(75 * widths[i] * 2));
    for (size_t w = 0; w < plain[i].weights.size(); ++w) {
      EXPECT_EQ(with[i].weights[w].source.names, plain[i].weights[w].source.names);
      EXPECT_EQ(with[i].weights[w].layout, plain[i].weights[w].layout);
    }
  }
}

TEST(Stages, HaveAnEncoderForPicturesThatAreEncoded) {
  const PlanTarget target = plan_target("cuda");
  RequestShape shape{.loops = {{.width = 256, .height = 192, .latent_width = 32, .latent_height = 24}}, .images = 3};
  ProgramOptions options{.dtype = DType::f16};
  const auto build = [&] { return build_stages(preset("tiny"), shape, *target.target, options); };
  EXPECT_EQ(build().find("vae_encoder"), nullptr);
  shape.encodings = 2;
  const Stages whole = build();
  const StageSpec& encoder = *whole.encoder(0, shape);
  EXPECT_EQ(&encoder + 1, whole.find("unet"));
  EXPECT_EQ(encoder.component, StageComponents().vae);
  EXPECT_EQ(encoder.runs, 2u);
  ASSERT_EQ(encoder.programs.size(), 1u);
  EXPECT_EQ(encoder.programs[0].input("image").ref.desc, (TensorDesc{DType::f32, {1, 192, 256, 3}}));
  EXPECT_EQ(encoder.programs[0].output("moments").ref.desc, (TensorDesc{DType::f32, {1, 24, 32, 8}}));

  options.decoder = {.tiny = tiny_vae_preset("tiny"), .tiling = true, .tile_pixels = 128};
  const Stages tiled = build();
  const StageSpec& tiny = *tiled.encoder(0, shape);
  EXPECT_EQ(tiny.component, StageComponents().tiny_vae);
  EXPECT_EQ(tiny.tiles.grid, tiled.decoder(0, shape)->tiles.grid);
  EXPECT_EQ(tiny.calls, (std::vector<size_t>{2, 1, 2, 1}));
  EXPECT_EQ(tiny.programs[0].input("image").ref.desc, (TensorDesc{DType::f32, {1, 128, 128, 3}}));
  EXPECT_EQ(tiny.programs[0].output("latent").ref.desc, (TensorDesc{DType::f32, {1, 16, 16, 4}}));

  options.decoder.tiny->encoder_block_out_channels = {16, 16};
  options.decoder.tiny->num_encoder_blocks = {1, 1};
  EXPECT_THROW(build(), Error);
}

TEST(Stages, MasksAndOriginalLatentsAreInThePlan) {
  const PlanTarget target = plan_target("cuda");
  RequestShape shape{.loops = {{.width = 256, .height = 256, .latent_width = 32, .latent_height = 32}}, .images = 3};
  const ProgramOptions options{.dtype = DType::f16, .images_per_forward = 2};
  const auto io = [&](const ModelConfig& model) {
    return make_plan(model, build_stages(model, shape, *target.target, options), shape, *target.target, options)
        .memory.io;
  };
  const size_t pixels = 32 * 32 * sizeof(float), rows = 3 + 2;  // of the pictures, and of a forward
  const size_t plain = io(preset("tiny"));
  ModelConfig inpainting = preset("tiny");
  inpainting.unet.in_channels = 9;
  EXPECT_EQ(io(inpainting), plain + rows * 5 * pixels);
  shape.loops[0].blend = true;
  EXPECT_EQ(io(preset("tiny")), plain + rows * 9 * pixels);
}

// A second pass, and a refiner after it: three loops with two UNets, and a decoder for each size.
TEST(Stages, AreThoseOfAllLoops) {
  const PlanTarget target = plan_target("cuda");
  const LoopShape small{.width = 256, .height = 192, .latent_width = 32, .latent_height = 24, .evaluations = 4};
  LoopShape large = small;
  large.width = large.height = 512;
  large.latent_width = large.latent_height = 64;
  LoopShape refined = large;
  refined.refiner = true;
  RequestShape shape{.loops = {small, large, refined}, .images = 2};
  ProgramOptions options{.dtype = DType::f16};
  options.refiner = preset("tiny");
  const auto names = [&] {
    std::vector<std::string> list;
    for (const StageSpec& stage : build_stages(preset("tiny"), shape, *target.target, options).list)
      if (stage.role != Role::text) list.push_back(stage.name);
    return list;
  };
  EXPECT_EQ(names(), (std::vector<std::string>{"unet", "vae_decoder_1", "unet_2", "refiner_unet", "vae_decoder"}));
  const Stages stages = build_stages(preset("tiny"), shape, *target.target, options);
  EXPECT_EQ(stages.denoise(2).component, StageComponents().refiner);
  EXPECT_EQ(stages.denoise(2).role, Role::refine);
  EXPECT_EQ(stages.decoder(1, shape), stages.find("vae_decoder"));
  EXPECT_EQ(stages.decoder(2, shape), stages.find("vae_decoder"));
  EXPECT_EQ(stages.decoder(0, shape)->runs, 0u);  // for previews only
  const Plan plan = make_plan(preset("tiny"), stages, shape, *target.target, options);
  EXPECT_EQ(plan.width, 512);
  EXPECT_EQ(plan.residency,
            "text encoders in turn, UNet resident, refiner resident, decoder resident, one picture at a time");
  shape.redraws = true;
  EXPECT_EQ(names(), (std::vector<std::string>{"unet", "vae_decoder_1", "vae_encoder_2", "unet_2", "refiner_unet",
                                               "vae_decoder"}));
  shape.redraws = shape.decodes = false;
  EXPECT_EQ(names(), (std::vector<std::string>{"unet", "unet_2", "refiner_unet"}));
}

// The last way needs less memory than the first one also if the encoder needs the most.
TEST(Stages, AnEncoderFitsLikeADecoder) {
  const ModelConfig model = preset("tiny");
  const RequestShape shape{
      .loops = {{.width = 1024, .height = 1024, .latent_width = 128, .latent_height = 128, .evaluations = 2}},
      .encodings = 1};
  const PlanTarget target = plan_target("cuda");
  const ProgramOptions options{.dtype = DType::f16};
  const auto fitted = [&](size_t budget) {
    return fit(model, shape, *target.target, options, {{budget, 0}, {}}, [] { return std::nullopt; });
  };
  const size_t first = fitted(size_t{1} << 40).plan.memory.peak_bytes;
  const Fitted tiled = fitted(first / 2);
  EXPECT_LE(tiled.plan.memory.peak_bytes, first / 2);
  EXPECT_TRUE(tiled.stages.encoder(0, shape)->tiles.several());
  bool in_turn = false;
  for (const BudgetChoice& choice : tiled.plan.choices)
    in_turn = in_turn || choice.mode.find("encoder in turn") != std::string::npos;
  EXPECT_TRUE(in_turn);
}

TEST(Stages, FitWhatIsFreeWhereNoBudgetIsGiven) {
  const ModelConfig model = preset("tiny");
  const RequestShape shape{
      .loops = {{.width = 256, .height = 256, .latent_width = 32, .latent_height = 32, .evaluations = 2}}};
  const PlanTarget target = plan_target("cuda");
  const ProgramOptions options{.dtype = DType::f16};
  const auto fitted = [&](std::optional<size_t> free, bool fit_free_memory = true) {
    return fit(model, shape, *target.target, options, {{}, [free] { return free; }, fit_free_memory},
               [] { return std::nullopt; });
  };
  const Fitted asked = fitted(std::nullopt);  // free memory is unknown
  const size_t peak = asked.plan.memory.peak_bytes;
  EXPECT_FALSE(asked.chosen);
  EXPECT_FALSE(fitted(peak).chosen);
  EXPECT_TRUE(fitted(peak).plan.choices.empty());
  const Fitted less = fitted(peak - 1);
  EXPECT_TRUE(less.chosen);
  EXPECT_LT(less.plan.memory.peak_bytes, peak);
  EXPECT_FALSE(less.plan.choices.empty());
  EXPECT_FALSE(fitted(peak - 1, false).chosen);  // the user's choice has priority
  EXPECT_THROW(fitted(1), Error);
}

TEST(DecoderGraphs, AreOnePerShapeOfTile) {
  const VaeConfig vae = preset("tiny").vae;
  const DecoderOptions tiles{.tiling = true, .tile_pixels = 64};
  const TileGraphs decoder = decoder_graphs(vae, tiles, choose_tiles(vae, tiles, 12, 20), DType::f32);
  std::vector<std::string> inputs;
  for (const Graph& graph : decoder.graphs) inputs.push_back(to_string(graph.nodes()[0].output.shape));
  EXPECT_EQ(inputs, (std::vector<std::string>{"1x8x8x4", "1x8x2x4", "1x6x8x4", "1x6x2x4"}));
  EXPECT_EQ(decoder.tiles.program_of, (std::vector<size_t>{0, 0, 0, 1, 2, 2, 2, 3}));
}

TEST(DecoderGraphs, TakeOnlyTilesThatOverlapByWholePixels) {
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

TEST(DecoderGraphs, ComputeInWhatIsAskedFor) {
  const VaeConfig vae = preset("tiny").vae;
  const auto computes_in = [&](const DecoderOptions& options, DType dtype) {
    const TileGraphs decoder = decoder_graphs(vae, options, choose_tiles(vae, options, 8, 8), dtype);
    const Graph& graph = decoder.graphs.at(0);
    for (const Node& node : graph.nodes())
      if (std::holds_alternative<Conv2d>(node.op)) return graph.node(node.inputs[1]).output.dtype;
    return DType::u8;
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
