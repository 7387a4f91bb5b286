// Plans as golden values: the peak of known requests, lowered for a GPU on a machine without one. A change of these
// numbers is a decision, not an accident: update the golden file knowingly (TEMPERA_UPDATE_GOLDENS=1).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tempera/tempera.h"

namespace tempera {
namespace {

const std::string kGolden = std::string(TEMPERA_TEST_DATA) + "/goldens/plans.txt";

std::string summary(const std::string& preset, const std::string& dtype, int images, int width, int height,
                    const std::string& attention, bool eager) {
  EngineOptions engine;
  engine.preset = preset;
  engine.device = "cuda";
  engine.dtype = dtype;
  engine.attention = attention;
  engine.eager = eager;
  Request request;
  request.num_images_per_prompt = images;
  request.width = width;
  request.height = height;
  const Plan p = plan(engine, request);
  std::ostringstream out;
  out << preset << ' ' << dtype << ' ' << images << " x " << width << 'x' << height << ' ' << attention
      << (eager ? " eager" : "") << ": peak " << p.memory.peak_bytes << " in " << p.memory.peak_stage << ", flops "
      << static_cast<int64_t>(p.flops / 1e9) << "e9";
  for (const StagePlan& s : p.stages)
    out << "; " << s.name << ' ' << s.prologue << '+' << s.steps << " steps, " << s.weights << " + " << s.activations
        << " + " << s.workspace << " + " << s.io;
  return out.str() + "\n";
}

TEST(Plans, MatchTheGoldens) {
  std::string now;
  for (const std::string dtype : {"fp32", "fp16"})
    for (const int images : {1, 4})
      now += summary("sdxl-base", dtype, images, 1024, 1024, dtype == "fp32" ? "naive" : "flash", false);
  now += summary("sdxl-base", "fp16", 4, 1024, 1024, "naive", true);
  now += summary("sdxl-base", "fp16", 1, 832, 1216, "flash", false);
  now += summary("tiny", "fp16", 1, 160, 96, "flash", false);
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
  // 6.761 TFLOP per sample and forward, 10.470 per decode (count_sdxl_macs.py); text encoders on top.
  const auto stage = [&](const std::string& name) {
    for (const StagePlan& s : p.stages)
      if (s.name == name) return s;
    return StagePlan{};
  };
  EXPECT_NEAR(stage("unet").flops, 2 * 6.761e12, 0.001e12);
  EXPECT_NEAR(stage("vae_decoder").flops, 10.470e12, 0.001e12);
  EXPECT_EQ(stage("unet").runs, 50u);
  EXPECT_EQ(p.width, 1024);
  EXPECT_GT(p.memory.peak_bytes, stage("unet").weights);
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

// Its activations pass what f16 holds: with fp16, the decoder is the one program that computes in bf16.
TEST(Plans, DecodeInBf16WhereTheRestIsF16) {
  EngineOptions engine;
  engine.preset = "tiny";
  engine.device = "cuda";
  engine.dtype = "fp16";
  const std::string listing = plan(engine, {}, true).listing;
  const size_t decoder = listing.find("program vae_decoder");
  ASSERT_NE(decoder, std::string::npos);
  EXPECT_NE(listing.find(":f16["), std::string::npos);
  EXPECT_EQ(listing.find(":f16[", decoder), std::string::npos);
  EXPECT_NE(listing.find(":bf16[", decoder), std::string::npos);
}

}  // namespace
}  // namespace tempera
