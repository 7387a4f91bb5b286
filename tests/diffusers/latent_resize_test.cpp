// The latents between two passes of the reference, which PyTorch made larger by 1.5.
#include "image/latent_resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "support/reference.h"
#include "weights/safetensors.h"

namespace tempera {
namespace {

TEST(ReferenceLatents, EqualPyTorch) {
  const std::filesystem::path path = test::reference_dir() / "more/parts_pictures.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no reference next to the repository";
  const SafetensorsFile file(path);
  const auto read = [&](const char* name) {
    const CheckpointTensor tensor = file.get(name);
    return test::to_nhwc({tensor.dims, tensor.floats()});
  };
  const std::vector<float> small = read("hires_latents");
  EXPECT_EQ(resize_latents(small, 8, 12, 4, 12, 18, LatentUpscaler::nearest), read("hires_nearest_latents"));
  const std::vector<float> expected = read("hires_bicubic_latents");
  const std::vector<float> resized = resize_latents(small, 8, 12, 4, 12, 18, LatentUpscaler::bicubic);
  ASSERT_EQ(resized.size(), expected.size());
  float largest = 0, difference = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    difference = std::max(difference, std::abs(expected[i] - resized[i]));
  }
  EXPECT_LE(difference, 1e-6F * largest);
}

}  // namespace
}  // namespace tempera
