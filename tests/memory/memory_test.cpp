// Plans as golden values: steps, bytes and peak of known requests, lowered for a GPU on a machine without one. A change
// of these numbers must be intended. Update the golden file with TEMPERA_UPDATE_GOLDENS=1.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tempera/tempera.h"

namespace tempera {
namespace {

const std::string kGolden = std::string(TEMPERA_TEST_DATA) + "/goldens/plans.txt";

std::string summary(const EngineOptions& engine, int images, int width, int height) {
  Request request;
  request.num_images_per_prompt = images;
  request.width = width;
  request.height = height;
  const Plan p = plan(engine, request);
  std::ostringstream out;
  out << engine.preset << ' ' << engine.dtype << ' ' << images << " x " << width << 'x' << height << ' '
      << engine.attention << (engine.eager ? " eager" : "") << (p.decoder == "AutoencoderKL" ? "" : " " + p.decoder)
      << ": peak " << p.memory.peak_bytes << " in " << p.memory.peak_stage << ", flops "
      << static_cast<int64_t>(p.flops / 1e9) << "e9";
  for (const StagePlan& s : p.stages) {
    out << "; " << s.name << ' ' << s.prologue << '+' << s.steps << " steps, " << s.weights << " + " << s.activations
        << " + " << s.stream << " + " << s.kept << " + " << s.io;
    if (s.copied > 0) out << ", copied " << s.copied;
  }
  return out.str() + "\n";
}

EngineOptions on_card(const std::string& preset, const std::string& dtype, const std::string& attention = "flash") {
  EngineOptions engine;
  engine.preset = preset;
  engine.device = "cuda";
  engine.dtype = dtype;
  engine.attention = attention;
  return engine;
}

const StagePlan& stage(const Plan& p, const std::string& name) {
  const auto at = std::find_if(p.stages.begin(), p.stages.end(), [&](const StagePlan& s) { return s.name == name; });
  if (at == p.stages.end()) throw std::out_of_range(name);
  return *at;
}

TEST(Plans, MatchTheGoldens) {
  std::string now;
  for (const std::string dtype : {"fp32", "fp16"})
    for (const int images : {1, 4})
      now += summary(on_card("sdxl-base", dtype, dtype == "fp32" ? "naive" : "flash"), images, 1024, 1024);
  EngineOptions eager = on_card("sdxl-base", "fp16", "naive");
  eager.eager = true;
  now += summary(eager, 4, 1024, 1024);
  now += summary(on_card("sdxl-base", "fp16"), 1, 832, 1216);
  now += summary(on_card("tiny", "fp16"), 1, 160, 96);
  EngineOptions less = on_card("sdxl-base", "fp16");
  less.vae_tiling = true;
  now += summary(less, 4, 1024, 1024);
  less.tiny_vae = "model";
  now += summary(less, 4, 1024, 1024);
  less.vae_tiling = false;
  now += summary(less, 4, 1024, 1024);
  EngineOptions away = on_card("sdxl-base", "fp16");
  for (const std::string offload : {"none", "model", "sequential"}) {
    away.offload = offload;
    now += offload + ": " + summary(away, 4, 1024, 1024);
  }
  EngineOptions within = on_card("sdxl-base", "fp16");
  for (const std::string budget : {"8GiB", "2GiB"}) {
    within.memory_budget = budget;
    now += budget + ": " + summary(within, 1, 1024, 1024);
  }
  if (std::getenv("TEMPERA_UPDATE_GOLDENS") != nullptr) std::ofstream(kGolden) << now;
  std::ifstream file(kGolden);
  const std::string golden{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(now, golden);
}

TEST(Plans, CountTheWorkOfSdxl) {
  EngineOptions engine;
  engine.preset = "sdxl-base";
  engine.device = "cuda";
  engine.eager = true;
  const Plan p = plan(engine, {});
  // 6.761 TFLOP per sample and forward, 10.470 per decode (count_sdxl_macs.py); the text encoders are not included.
  EXPECT_NEAR(stage(p, "unet").flops, 2 * 6.761e12, 0.001e12);
  EXPECT_NEAR(stage(p, "vae_decoder").flops, 10.470e12, 0.001e12);
  EXPECT_EQ(stage(p, "unet").runs, 50u);
  EXPECT_EQ(p.width, 1024);
  EXPECT_GT(p.memory.peak_bytes, stage(p, "unet").weights);
}

TEST(Plans, HoistTheTextBranchOutOfTheLoop) {
  EngineOptions engine;
  engine.preset = "sdxl-base";
  engine.device = "cuda";
  const Plan compiled = plan(engine, {});
  engine.eager = true;
  const Plan eager = plan(engine, {});
  EXPECT_LT(compiled.flops, eager.flops);
  EXPECT_EQ(eager.stages.at(2).prologue, 0u);
  EXPECT_LT(compiled.stages.at(2).steps, eager.stages.at(2).steps);
}

// The parameters scale the residual stream down, so that it fits f16.
TEST(Plans, DecodeInF16AsTheRest) {
  EngineOptions engine;
  engine.preset = "tiny";
  engine.device = "cuda";
  engine.dtype = "fp16";
  const std::string listing = plan(engine, {}, true).listing;
  EXPECT_NE(listing.find("weight decoder.conv_in.weight times 0.00390625 "), std::string::npos);
  EXPECT_EQ(listing.find(":bf16["), std::string::npos);
}

TEST(Plans, KeepWithinTheBudget) {
  constexpr size_t kMebibyte = size_t{1} << 20;
  std::vector<std::string> devices = {"cuda"};
  if (TEMPERA_HAS_CPU) devices.emplace_back("cpu");
  for (const std::string& device : devices)
    for (const int images : {1, 4})
      for (const size_t budget : {1024u, 1536u, 2048u, 4096u, 6500u, 8192u, 20480u}) {
        EngineOptions engine = on_card("sdxl-base", device == "cuda" ? "fp16" : "fp32");
        engine.device = device;
        engine.memory_budget = std::to_string(budget) + "MiB";
        Request request;
        request.num_images_per_prompt = images;
        Plan p;
        try {
          p = plan(engine, request);
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::out_of_memory) << error.what();
          EXPECT_LT(budget, 2000u) << error.what();
          continue;
        }
        EXPECT_LE(p.memory.peak_bytes, budget * kMebibyte);
        ASSERT_FALSE(p.choices.empty());
        EXPECT_TRUE(p.choices.back().fits);
        EXPECT_EQ(p.choices.back().mode, p.residency);
        for (size_t i = 0; i + 1 < p.choices.size(); ++i) EXPECT_FALSE(p.choices[i].fits);
        // Streamed parameters use most of the available memory.
        if (p.residency.find("UNet streamed") != std::string::npos) {
          EXPECT_GT(static_cast<double>(p.memory.peak_bytes), 0.9 * static_cast<double>(budget * kMebibyte));
        }
      }
}

TEST(Plans, SequentialOffloadCopiesTheUnetInEveryStep) {
  EngineOptions engine = on_card("sdxl-base", "fp16");
  const Plan resident = plan(engine, {});
  engine.offload = "sequential";
  const Plan streamed = plan(engine, {});
  EXPECT_EQ(stage(resident, "unet").copied, 0u);
  EXPECT_EQ(stage(streamed, "unet").weights, 0u);
  // All parameters except those of the prologue: keys and values of the prompt.
  EXPECT_GE(stage(streamed, "unet").copied, stage(resident, "unet").weights * 8 / 10);
  EXPECT_LT(stage(streamed, "unet").stream, size_t{257} << 20);
  EXPECT_EQ(stage(streamed, "unet").activations, stage(resident, "unet").activations);
  EXPECT_EQ(stage(streamed, "unet").flops, stage(resident, "unet").flops);
  // Streamed parameters are in the host's memory. In the resident plan, only those of the text encoders are.
  EXPECT_GT(streamed.memory.pinned_bytes, resident.memory.pinned_bytes + stage(resident, "unet").weights);
  EXPECT_GT(resident.memory.pinned_bytes, 0u);
  engine.offload = "none";
  EXPECT_EQ(plan(engine, {}).memory.pinned_bytes, 0u);
}

// --vae-slicing is accepted because this always holds: pictures are decoded one at a time.
TEST(Plans, TheDecoderDoesNotGrowWithTheNumberOfPictures) {
  for (const bool tiling : {false, true})
    for (const char* tiny : {"", "model"}) {
      EngineOptions engine = on_card("sdxl-base", "fp16");
      engine.vae_tiling = tiling;
      engine.tiny_vae = tiny;
      Request request;
      const StagePlan one = stage(plan(engine, request), "vae_decoder");
      request.num_images_per_prompt = 4;
      const StagePlan four = stage(plan(engine, request), "vae_decoder");
      EXPECT_EQ(four.activations, one.activations);
      EXPECT_EQ(four.io, one.io);
      EXPECT_EQ(four.weights, one.weights);
      EXPECT_EQ(four.flops, one.flops);
      EXPECT_EQ(one.runs, 1u);
      EXPECT_EQ(four.runs, 4u);
    }
}

TEST(Plans, TilesTakeLessMemoryAndMoreWork) {
  EngineOptions engine = on_card("sdxl-base", "fp16");
  engine.offload = "none";  // else the text encoders' parameters would use the memory that the decoder leaves
  const Plan whole = plan(engine, {});
  EXPECT_EQ(whole.decoder, "AutoencoderKL");
  engine.vae_tiling = true;
  const Plan tiled = plan(engine, {});
  EXPECT_EQ(tiled.decoder, "AutoencoderKL in 9 tiles of 512x512");
  engine.vae_tile_size = 256;
  const Plan small = plan(engine, {});
  EXPECT_EQ(small.decoder, "AutoencoderKL in 36 tiles of 256x256");
  const auto scratch = [](const Plan& p) { return stage(p, "vae_decoder").activations; };
  EXPECT_LT(scratch(tiled), scratch(whole) / 2);
  EXPECT_LT(scratch(small), scratch(tiled) / 2);
  EXPECT_LT(tiled.memory.peak_bytes, whole.memory.peak_bytes);
  EXPECT_LE(small.memory.peak_bytes, tiled.memory.peak_bytes);
  // All shapes of tiles use one set of weights here.
  EXPECT_EQ(stage(tiled, "vae_decoder").weights, stage(whole, "vae_decoder").weights);
  EXPECT_GT(stage(tiled, "vae_decoder").flops, stage(whole, "vae_decoder").flops);
  EXPECT_GT(stage(tiled, "vae_decoder").steps, 8 * stage(whole, "vae_decoder").steps);
}

TEST(Plans, TheTinyAutoencoderIsTiny) {
  EngineOptions engine = on_card("sdxl-base", "fp16");
  engine.offload = "none";
  const Plan whole = plan(engine, {});
  engine.tiny_vae = "model";
  const Plan tiny = plan(engine, {});
  EXPECT_EQ(tiny.decoder, "AutoencoderTiny");
  EXPECT_LT(stage(tiny, "vae_decoder").weights, 3u << 20);
  EXPECT_LT(stage(tiny, "vae_decoder").flops, stage(whole, "vae_decoder").flops / 15);
  EXPECT_LT(tiny.memory.peak_bytes, whole.memory.peak_bytes);
}

// The model's own tiny autoencoder is used only if no plan with the full one fits. Here the tiles of the full one are
// kept large, so that they are the limit.
TEST(Plans, TakeTheTinyAutoencoderWhereNothingElseFits) {
  EngineOptions engine = on_card("sdxl-base", "fp16");
  Request request;
  request.width = request.height = 512;
  engine.vae_tile_size = 512;
  engine.memory_budget = "400MiB";
  const Plan full = plan(engine, request);
  EXPECT_EQ(full.decoder, "AutoencoderKL");
  EXPECT_EQ(full.residency.find("tiny"), std::string::npos);
  engine.memory_budget = "300MiB";
  const Plan tiny = plan(engine, request);
  EXPECT_EQ(tiny.decoder, "AutoencoderTiny");
  EXPECT_NE(tiny.residency.find("tiny decoder"), std::string::npos) << tiny.residency;
  EXPECT_LE(tiny.memory.peak_bytes, size_t{300} << 20);
  ASSERT_GT(tiny.choices.size(), 2u);
  EXPECT_EQ(tiny.choices.front().mode.find("tiny"), std::string::npos);
  // Equal to the plan with an explicit tiny autoencoder.
  engine.tiny_vae = "model";
  const Plan asked = plan(engine, request);
  EXPECT_EQ(asked.decoder, tiny.decoder);
  EXPECT_LE(asked.memory.peak_bytes, size_t{300} << 20);
  // Its tiles must overlap by whole pixels of the latent. If they cannot, this way to decode does not exist.
  engine.tiny_vae.clear();
  engine.vae_tile_size = 480;
  try {
    plan(engine, request);
    FAIL() << "fits";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::out_of_memory) << error.what();
  }
}

// diffusers' tile sizes: those of the autoencoder, and no tiles if the picture is not larger.
TEST(Plans, TileSizesAreDiffusers) {
  EngineOptions engine = on_card("sdxl-base", "fp16");
  engine.vae_tiling = true;
  Request large;
  large.width = 2048;
  large.height = 1152;
  EXPECT_EQ(plan(engine, large).decoder, "AutoencoderKL in 6 tiles of 1024x1024");
  engine.vae_tile_size = 1024;
  EXPECT_EQ(plan(engine, {}).decoder, "AutoencoderKL");
  engine.vae_tile_size = 520;
  EXPECT_THROW(plan(engine, {}), Error);
}

}  // namespace
}  // namespace tempera
