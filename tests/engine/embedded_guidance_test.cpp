// A UNet that embeds the guidance scale: every picture of a batch has its own scale, and one branch.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "jobs.h"
#include "support/test_files.h"
#include "weights/safetensors.h"

namespace tempera::test {
namespace {
namespace fs = std::filesystem;

constexpr int64_t kWidth = 8, kChannels = 32;  // of the embedding; of the first block of the tiny model

// The tiny model of random weights, with an embedded guidance scale.
void write_model(const fs::path& folder) {
  synth({.preset = "tiny", .dtype = "fp32", .seed = 1}, folder);
  const fs::path config = folder / "unet" / "config.json",
                 weights = folder / "unet/diffusion_pytorch_model.safetensors";
  nlohmann::json object = nlohmann::json::parse(std::ifstream(config));
  object["time_cond_proj_dim"] = kWidth;
  std::ofstream(config) << object.dump();
  std::vector<std::pair<TensorSpec, std::vector<std::byte>>> tensors;
  {
    const SafetensorsFile file(weights);
    for (const std::string& name : file.names()) {
      const CheckpointTensor tensor = file.get(name);
      tensors.push_back({{name, tensor.dtype, tensor.dims}, stored_bytes(tensor)});
    }
  }
  std::vector<float> projection(static_cast<size_t>(kWidth * kChannels));
  for (size_t i = 0; i < projection.size(); ++i) projection[i] = static_cast<float>(i % 7) * 0.2f - 0.5f;
  const auto bytes = std::as_bytes(std::span(projection));
  tensors.push_back(
      {{"time_embedding.cond_proj.weight", DType::f32, {kChannels, kWidth}}, {bytes.begin(), bytes.end()}});
  write_safetensors(weights, tensors);
}

Request with_guidance(double scale, uint64_t seed) {
  Request request = small_request("a red apple", seed, 2);
  request.guidance_scale = scale;
  return request;
}

TEST(EmbeddedGuidance, OfEachPictureInABatch) {
  const TemporaryFolder folder;
  EngineOptions options = small_engine();
  options.model = (folder.path() / "model").string();
  write_model(options.model);
  Engine engine(options);
  const std::vector<Request> requests = {with_guidance(4, 1), with_guidance(8, 1), with_guidance(1, 1)};
  std::vector<Job> jobs;
  for (const Request& request : requests) jobs.push_back(engine.start(request));
  std::vector<Job*> pointers;
  for (Job& job : jobs) pointers.push_back(&job);
  while (!jobs[0].finished()) engine.step(pointers);
  std::vector<std::vector<Image>> images;
  for (size_t i = 0; i < jobs.size(); ++i) {
    images.push_back({engine.decode(jobs[i], 0)});
    const std::vector<Image> expected = alone(requests[i], options);
    if (on_card()) {
      expect_close(images.back(), expected, std::to_string(i));
    } else {
      expect_equal(images.back(), expected, std::to_string(i));
    }
  }
  EXPECT_NE(images[0][0].rgb, images[1][0].rgb);
  EXPECT_NE(images[0][0].rgb, images[2][0].rgb);
}

// One branch: the negative prompt has no effect, and a picture needs no second row.
TEST(EmbeddedGuidance, HasOneBranch) {
  const TemporaryFolder folder;
  EngineOptions options = small_engine();
  options.model = (folder.path() / "model").string();
  write_model(options.model);
  Request plain = with_guidance(4, 1), negative = plain;
  negative.negative_prompt = "a cat";
  EXPECT_EQ(alone(plain, options)[0].rgb, alone(negative, options)[0].rgb);
  Request off = with_guidance(1, 1);
  EXPECT_EQ(plan(options, plain).flops, plan(options, off).flops);
}

}  // namespace
}  // namespace tempera::test
