// One engine and requests of different shapes: each gives the result of a new engine, and weights are not packed again.
#include <gtest/gtest.h>

#include "jobs.h"

namespace tempera::test {
namespace {

std::vector<Request> unlike_requests() {
  const Request small = small_request("a red apple", 1);
  Request large = small;
  large.width = 256;
  large.height = 192;
  Request unguided = small;
  unguided.guidance_scale = 1;
  Request sampler = small;
  sampler.scheduler = "dpmpp_2m_karras";
  sampler.num_images_per_prompt = 2;
  Request noisy = large;
  noisy.scheduler = "euler_a";
  noisy.rng = "cuda";
  Request thresholded = small;
  thresholded.scheduler_config = thresholding_config();
  Request text = small;
  text.clip_skip = 1;
  text.prompt_2 = "a cat";
  return {small, large, small, unguided, sampler, thresholded, large, noisy, text, small};
}

std::vector<Request> two_sizes() {
  const std::vector<Request> all = unlike_requests();
  return {all[0], all[1], all[0]};
}

void expect_as_fresh(const EngineOptions& options, const std::vector<Request>& requests) {
  Pipeline pipeline(options);
  int number = 0;
  for (const Request& request : requests)
    expect_equal(pipeline.generate(request).images, alone(request, options), "request " + std::to_string(number++));
}

// Review finding 1: no test gave one pipeline two requests of different shapes.
TEST(UnlikeRequests, AreAnsweredAsByAFreshEngine) {
  expect_as_fresh(small_engine(), unlike_requests());
}

TEST(UnlikeRequests, AreAnsweredAsByAFreshEngineWhereverParametersAre) {
  for (const char* offload : {"none", "model", "sequential"}) {
    EngineOptions options = small_engine();
    options.offload = offload;
    expect_as_fresh(options, two_sizes());
  }
}

TEST(UnlikeRequests, AreAnsweredAsByAFreshEngineInTiles) {
  EngineOptions options = small_engine();
  options.vae_tiling = true;
  options.vae_tile_size = 128;
  expect_as_fresh(options, two_sizes());
}

// One shape needs two passes and streaming, the other does not.
TEST(UnlikeRequests, AreAnsweredAsByAFreshEngineWithinABudget) {
  EngineOptions options = small_engine();
  options.memory_budget = on_card() ? "140MiB" : "62MiB";
  Pipeline pipeline(options);
  Request small = small_request("a red apple", 1), large = small;
  large.width = large.height = 256;
  std::string residency;
  for (const Request& request : {small, large, small, large}) {
    const Result result = pipeline.generate(request);
    const Result& expected = fresh(request, options);
    expect_equal(result.images, expected.images, expected.plan.residency);
    EXPECT_EQ(result.plan.residency, expected.plan.residency);
    // Only holes that are too small for a copy are kept for other requests (Parameters).
    EXPECT_GE(result.plan.memory.peak_bytes, expected.plan.memory.peak_bytes);
    EXPECT_LE(result.plan.memory.peak_bytes, expected.plan.memory.peak_bytes + (256 << 10));
    EXPECT_NE(expected.plan.residency, residency);
    residency = expected.plan.residency;
  }
}

TEST(UnlikeRequests, PackOnlyWhatIsThereInNoEqualForm) {
  const auto packed_by = [](const std::vector<Request>& requests) {
    Engine engine(small_engine());
    size_t before = 0;
    std::vector<size_t> packed;
    for (const Request& request : requests) {
      Job job = engine.start(request);
      packed.push_back(engine.bytes_packed() - before);
      before = engine.bytes_packed();
    }
    return packed;
  };
  const Request small = small_request("a red apple", 1);
  Request large = small, unguided = small, sampler = small;
  large.width = large.height = 256;
  unguided.guidance_scale = 1;
  sampler.scheduler = "dpmpp_2m_karras";
  const size_t first = packed_by({small})[0], large_first = packed_by({large})[0];
  const std::vector<size_t> packed = packed_by({small, large, small, small, sampler});
  EXPECT_EQ(packed[0], first);
  EXPECT_LT(packed[1], large_first / 2);  // the layers whose form depends on the size
  EXPECT_LT(packed[2], first / 2);
  EXPECT_EQ(packed[3], 0u);
  EXPECT_EQ(packed[4], 0u);
  if (on_card()) {
    EXPECT_EQ(packed[1], 0u);
    EXPECT_EQ(packed_by({small, unguided})[1], 0u);
  }
}

// A plan includes the memory that the engine keeps for other requests, and that of their cached texts.
TEST(UnlikeRequests, ArePlannedWithWhatIsHeldForOthers) {
  Pipeline pipeline(small_engine());
  const Request small = small_request("a red apple", 1);
  Request large = small, other_text = small;
  large.width = large.height = 256;
  other_text.prompt = "a cat";
  const size_t first = pipeline.generate(small).plan.memory.peak_bytes;
  const size_t large_peak = pipeline.generate(large).plan.memory.peak_bytes;
  EXPECT_GT(large_peak, fresh(large).plan.memory.peak_bytes);
  const size_t again = pipeline.generate(small).plan.memory.peak_bytes;
  EXPECT_GT(again, first);
  if (!on_card()) {
    pipeline.generate(other_text);
    EXPECT_GT(pipeline.generate(other_text).plan.memory.peak_bytes, again);
  }
}

// Review finding 8: plans and runs set the options of programs independently.
TEST(UnlikeRequests, ArePlannedAsTheyRun) {
  for (const char* offload : {"auto", "none", "sequential"})
    for (const Request& request : two_sizes()) {
      EngineOptions options = small_engine();
      options.offload = offload;
      const Plan planned = plan(options, request), run = fresh(request, options).plan;
      EXPECT_EQ(planned.memory.peak_bytes, run.memory.peak_bytes);
      EXPECT_EQ(planned.residency, run.residency);
      EXPECT_EQ(planned.decoder, run.decoder);
      ASSERT_EQ(planned.stages.size(), run.stages.size());
      for (size_t i = 0; i < run.stages.size(); ++i) {
        EXPECT_EQ(planned.stages[i].name, run.stages[i].name);
        EXPECT_EQ(planned.stages[i].runs, run.stages[i].runs);
        EXPECT_EQ(planned.stages[i].weights, run.stages[i].weights);
        EXPECT_EQ(planned.stages[i].flops, run.stages[i].flops);
      }
    }
}

}  // namespace
}  // namespace tempera::test
