// Small jobs of the model that is part of tempera, for tests of engines. TEMPERA_TEST_DEVICE=cuda runs them on a card.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tempera/bench.h"
#include "tempera/engine.h"

namespace tempera::test {

inline bool on_card() {
  const char* device = std::getenv("TEMPERA_TEST_DEVICE");
  return device != nullptr && std::string(device) == "cuda";
}

inline EngineOptions small_engine() {
  // Convolutions of a card are then in f32, so that another batch size changes only the last places.
  if (on_card()) setenv("NVIDIA_TF32_OVERRIDE", "0", 1);
  EngineOptions options;
  options.device = on_card() ? "cuda" : "cpu";
  options.dtype = "fp32";
  return options;
}

inline Request small_request(const std::string& prompt, uint64_t seed, int steps = 3) {
  Request request;
  request.prompt = prompt;
  request.width = request.height = 64;
  request.num_inference_steps = steps;
  request.seed = seed;
  return request;
}

// A sampler whose update depends on the data: dynamic thresholding. No name has it, so it comes from a file.
inline std::string thresholding_config() {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "thresholding.json";
  std::ofstream(file) << R"({"_class_name": "DPMSolverMultistepScheduler", "beta_start": 0.00085, "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "timestep_spacing": "leading", "steps_offset": 1, "thresholding": true,
    "sample_max_value": 1.5})";
  return file.string();
}

inline std::vector<Image> finished(Engine& engine, Job& job) {
  while (!job.finished()) engine.step(job);
  std::vector<Image> images;
  for (int i = 0; i < job.images(); ++i) images.push_back(engine.decode(job, i));
  return images;
}

// The result of a new engine that answers nothing else. Equal requests of a process are answered once.
inline const Result& fresh(const Request& request, const EngineOptions& options = small_engine()) {
  static std::map<std::string, Result> results;
  std::string key;
  for (const Field& field : request_fields()) key += field.get(request, options).value_or("absent") + '\n';
  if (const auto known = results.find(key); known != results.end()) return known->second;
  return results.emplace(std::move(key), Pipeline(options).generate(request)).first->second;
}

inline const std::vector<Image>& alone(const Request& request, const EngineOptions& options = small_engine()) {
  return fresh(request, options).images;
}

inline void expect_equal(const std::vector<Image>& images, const std::vector<Image>& expected,
                         const std::string& what) {
  ASSERT_EQ(images.size(), expected.size()) << what;
  for (size_t i = 0; i < images.size(); ++i) {
    ASSERT_EQ(images[i].rgb.size(), expected[i].rgb.size()) << what << ", picture " << i;
    const PictureDifference difference = picture_difference(images[i].rgb, expected[i].rgb);
    EXPECT_EQ(difference.max, 0) << what << ", picture " << i << ", mean " << difference.mean;
    EXPECT_EQ(images[i].parameters, expected[i].parameters) << what << ", picture " << i;
  }
}

// For another batch size, with which the kernels of a device may sum in another order: a few units in the last place of
// f32.
inline void expect_close(const std::vector<Image>& images, const std::vector<Image>& expected,
                         const std::string& what) {
  ASSERT_EQ(images.size(), expected.size()) << what;
  for (size_t i = 0; i < images.size(); ++i) {
    const PictureDifference difference = picture_difference(images[i].rgb, expected[i].rgb);
    EXPECT_LE(difference.max, 3) << what << ", picture " << i;
    EXPECT_LE(difference.mean, 0.5) << what << ", picture " << i;
  }
}

// For a job that shared a batch.
inline void expect_as_alone(const std::vector<Image>& images, const Request& request) {
  if (on_card()) {
    expect_close(images, alone(request), request.prompt);
  } else {
    expect_equal(images, alone(request), request.prompt);
  }
}

}  // namespace tempera::test
