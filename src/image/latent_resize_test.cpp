#include "image/latent_resize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tempera {
namespace {

using ::testing::ElementsAre;

TEST(ResizeLatents, NearestRepeats) {
  const std::vector<float> values = {1, 10, 2, 20};  // (1, 2, 2)
  EXPECT_THAT(resize_latents(values, 1, 2, 2, 2, 3, LatentUpscaler::nearest),
              ElementsAre(1, 10, 1, 10, 2, 20, 1, 10, 1, 10, 2, 20));
}

// The example of torch.nn.Upsample's documentation.
TEST(ResizeLatents, BilinearAsInPyTorchsDocumentation) {
  const std::vector<float> values = {1, 2, 3, 4};
  EXPECT_THAT(resize_latents(values, 2, 2, 1, 4, 4, LatentUpscaler::bilinear),
              ElementsAre(1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4));
}

// Weights of a = -0.75 at the distances 1.25, 0.25, 0.75 and 1.75, written as fractions of 256: -27, 225, 67, -9.
TEST(ResizeLatents, BicubicWeights) {
  const std::vector<float> values = {0, 0, 0, 256, 0, 0, 0};
  const std::vector<float> doubled = resize_latents(values, 1, 7, 1, 1, 14, LatentUpscaler::bicubic);
  EXPECT_THAT(doubled, ElementsAre(0, 0, 0, -9, -27, 67, 225, 225, 67, -27, -9, 0, 0, 0));
}

TEST(ResizeLatents, TheSameSizeChangesNothing) {
  const std::vector<float> values = {0.5F, -3, 7, 1e-3F, 2, -0.25F};
  for (const auto mode : {LatentUpscaler::nearest, LatentUpscaler::bilinear, LatentUpscaler::bicubic})
    EXPECT_EQ(resize_latents(values, 3, 2, 1, 3, 2, mode), values);
}

TEST(ResizeLatents, OnePixelBecomesAPlain) {
  const std::vector<float> values = {0.5F, -3};
  for (const auto mode : {LatentUpscaler::nearest, LatentUpscaler::bilinear, LatentUpscaler::bicubic}) {
    const std::vector<float> plain = resize_latents(values, 1, 1, 2, 2, 3, mode);
    ASSERT_EQ(plain.size(), 12U);
    for (size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(plain[i], values[i % 2], 2e-6) << i;
  }
}

}  // namespace
}  // namespace tempera
