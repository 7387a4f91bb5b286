// A UNet that embeds the guidance scale: in a batch, every picture has the result of its own scale.
#include <gtest/gtest.h>

#include <random>

#include "models/unet.h"
#include "passes/passes.h"
#include "runtime/executable.h"
#include "support/backends.h"
#include "support/random_checkpoint.h"
#include "support/reference.h"

namespace tempera {
namespace {

// The next state of pictures that differ only in their scale: `guidance` has (scale - 1) 1000 for each.
std::vector<float> step(Backend& backend, const std::vector<float>& guidance) {
  UnetConfig config = preset("tiny").unet;
  config.time_cond_proj_dim = 24;
  const auto images = static_cast<int>(guidance.size());
  const DenoiseGraphOptions options{.images = images, .guided = 0, .unet = {.height = 4, .width = 6, .tokens = 7}};
  const Graph graph = optimize(denoise_graph(config, options));
  const std::unique_ptr<Queue> queue = backend.make_queue();
  const test::RandomCheckpoint checkpoint(graph);
  LoneExecutable lone(lower(graph, backend.target(), {}), backend, *queue, checkpoint);
  Executable& e = *lone;
  e.load();
  for (const IoSlot& slot : e.program().inputs) {
    std::mt19937 generator(5);  // the same row for every picture
    std::normal_distribution<float> normal;
    const Shape& shape = slot.ref.desc.shape;
    std::vector<float> row(static_cast<size_t>(shape.elements() / shape[0])), rows;
    for (float& value : row) value = normal(generator);
    if (slot.name == "timestep") row = {601};
    if (slot.name == "step") {
      row.assign(StepLayout::length(1), 0);
      row[StepLayout::kInputScale] = 0.7f;
      row[StepLayout::kUpdate] = 0.9f;       // of the state
      row[StepLayout::kUpdate + 1] = -0.3f;  // of the prediction
    }
    for (int i = 0; i < images; ++i) rows.insert(rows.end(), row.begin(), row.end());
    e.write_input(slot.name, slot.name == "guidance" ? guidance : rows);
  }
  e.run_prologue();
  e.run();
  return e.read_output("state");
}

class EmbeddedGuidance : public ::testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() { test::forbid_tf32(); }
};

TEST_P(EmbeddedGuidance, IsThatOfEachPicture) {
  const auto backend = test::make_backend(GetParam());
  const std::vector<float> scales = {3000, 7000, 0};
  const std::vector<float> together = step(*backend, scales);
  const size_t one = together.size() / scales.size();
  std::vector<float> apart;
  for (const float scale : scales) {
    const std::vector<float> alone = step(*backend, {scale});
    apart.insert(apart.end(), alone.begin(), alone.end());
  }
  float largest = 0, between = 0;
  for (size_t i = 0; i < together.size(); ++i) {
    EXPECT_NEAR(together[i], apart[i], 2e-5) << i;
    largest = std::max(largest, std::abs(apart[i]));
    between = std::max(between, std::abs(apart[i] - apart[i % one]));
  }
  EXPECT_GT(between, 1e-3 * largest);  // the scale has an effect
}

INSTANTIATE_TEST_SUITE_P(Backends, EmbeddedGuidance, ::testing::ValuesIn(test::backend_names()));

}  // namespace
}  // namespace tempera
