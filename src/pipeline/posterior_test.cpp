// Samples of the encoder's distribution and their scale, against numbers computed by hand.
#include "pipeline/posterior.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/vae.h"

namespace tempera {
namespace {

using testing::ElementsAre;
using testing::FloatEq;
using testing::FloatNear;
using testing::Pointwise;

TEST(Posterior, IsMeanPlusDeviationTimesNoise) {
  // Two pixels of two channels: mean, mean, logvar, logvar.
  const float ln4 = std::log(4.0f);
  const std::vector<float> moments = {1, 2, 0, ln4, -1, 3, -ln4, 2 * ln4}, noise = {1, -1, 2, 0.5f};
  EXPECT_THAT(sample_posterior(moments, noise, 2),
              ElementsAre(FloatEq(2), FloatNear(0, 1e-6f), FloatEq(0), FloatEq(5)));
}

TEST(Posterior, LimitsTheVariance) {
  const std::vector<float> moments = {1, 1000}, low = {1, -1000};
  EXPECT_THAT(sample_posterior(moments, std::vector<float>{1}, 1), ElementsAre(FloatEq(1 + std::exp(10.0f))));
  EXPECT_THAT(sample_posterior(low, std::vector<float>{1e6f}, 1), ElementsAre(FloatEq(1 + 1e6f * std::exp(-15.0f))));
}

TEST(Posterior, LatentsHaveTheScaleOfTheUnet) {
  VaeConfig vae = preset("tiny").vae;
  vae.scaling_factor = 0.5;
  const std::vector<float> encoded = {1, 2, 3, 4, -1, -2, -3, -4};
  std::vector<float> plain = encoded, normalized = encoded, inpainting = encoded, tiny = encoded;
  scale_latents(plain, vae, true);
  EXPECT_THAT(plain, ElementsAre(0.5f, 1, 1.5f, 2, -0.5f, -1, -1.5f, -2));
  vae.latents_mean = {1, 0, -1, 2};
  vae.latents_std = {1, 2, 4, 0.5};
  scale_latents(normalized, vae, true);
  EXPECT_THAT(normalized, ElementsAre(0, 0.5f, 0.5f, 2, -1, -0.5f, -0.25f, -6));
  scale_latents(inpainting, vae, false);
  EXPECT_EQ(inpainting, plain);
  TinyVaeConfig tiny_vae = tiny_vae_preset("tiny");
  tiny_vae.scaling_factor = 0.25;
  scale_latents(tiny, tiny_vae);
  EXPECT_THAT(tiny, ElementsAre(0.25f, 0.5f, 0.75f, 1, -0.25f, -0.5f, -0.75f, -1));
}

// The decoder begins with the inverse.
TEST(Posterior, TheDecoderUndoesTheScale) {
  VaeConfig vae = preset("tiny").vae;
  vae.latents_mean = {1, 0, -1, 2};
  vae.latents_std = {1, 2, 4, 0.5};
  const Graph decoder = vae_decoder_graph(vae, {});
  const auto& scale = std::get<Scale>(decoder.node(1).op);
  const std::vector<float> encoded = {1, 2, 3, 4, -1, -2, -3, -4};
  std::vector<float> latents = encoded;
  scale_latents(latents, vae, true);
  for (size_t i = 0; i < latents.size(); ++i) latents[i] = latents[i] * scale.factor[i % 4] + scale.offset[i % 4];
  EXPECT_THAT(latents, Pointwise(FloatNear(1e-5f), encoded));
}

}  // namespace
}  // namespace tempera
