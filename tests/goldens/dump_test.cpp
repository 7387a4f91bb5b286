// A whole small program as text: the denoising step of the tiny UNet, lowered for a GPU. Every change of it must be
// intended. Update with TEMPERA_UPDATE_GOLDENS=1.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "backend/cuda/table.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "passes/passes.h"
#include "program/program.h"

namespace tempera {
namespace {

void expect_golden(const std::string& name, const std::string& now) {
  const std::string path = std::string(TEMPERA_TEST_DATA) + "/goldens/" + name;
  if (std::getenv("TEMPERA_UPDATE_GOLDENS") != nullptr) std::ofstream(path) << now;
  std::ifstream file(path);
  const std::string golden{std::istreambuf_iterator<char>(file), {}};
  EXPECT_TRUE(now == golden) << path << " differs: compare with TEMPERA_UPDATE_GOLDENS=1 and git diff";
}

// One level with a resnet and a transformer in each direction: every kind of block, a few dozen steps.
UnetConfig one_of_each() {
  UnetConfig c = preset("tiny").unet;
  c.down = {{32, 0, {0}}, {64, 4, {1}}};
  c.up = {{64, 4, {1, 0}}, {32, 0, {0, 0}}};
  c.mid = {UnetMidBlock::Kind::cross_attention, 4, 1};
  c.time_embedding_dim = 128;
  return c;
}

DenoiseGraphOptions options() {
  DenoiseGraphOptions o;
  o.unet.height = o.unet.width = 8;
  o.unet.dtype = DType::f16;
  return o;
}

TEST(Dump, DenoiseGraph) {
  expect_golden("denoise_graph.txt", dump(optimize(denoise_graph(one_of_each(), options()))));
}

TEST(Dump, DenoiseProgram) {
  const Program p = lower(optimize(denoise_graph(one_of_each(), options())), cuda_target());
  expect_golden("denoise_program.txt", dump(p, cuda_target()));
}

TEST(Dump, EagerDenoiseGraph) {
  expect_golden("denoise_graph_eager.txt", dump(denoise_graph(one_of_each(), options())));
}

// The guidance scale as an input: one branch.
TEST(Dump, DenoiseGraphWithEmbeddedGuidance) {
  UnetConfig c = one_of_each();
  c.down = {{32, 0, {0}}};
  c.up = {{32, 0, {0, 0}}};
  c.mid = {};
  c.mid.kind = UnetMidBlock::Kind::none;
  c.time_cond_proj_dim = 8;
  DenoiseGraphOptions o = options();
  o.guided = 0;
  expect_golden("denoise_graph_guidance.txt", dump(optimize(denoise_graph(c, o))));
}

TEST(Dump, TextEncoderGraph) {
  expect_golden("text_encoder_graph.txt",
                dump(optimize(clip_text_graph(preset("tiny").text_encoder_2, {.pooled = true}))));
}

TEST(Dump, DecoderGraph) {
  expect_golden("decoder_graph.txt", dump(optimize(vae_decoder_graph(preset("tiny").vae, {.height = 8, .width = 8}))));
}

}  // namespace
}  // namespace tempera
