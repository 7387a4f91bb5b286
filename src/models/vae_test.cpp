// The ops between the UNet's latents and the first layer of a decoder.
#include "models/vae.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tempera {
namespace {

using testing::ElementsAre;

// The factor of the latent, in f32 before all other ops; nothing if it is not scaled.
std::optional<Scale> latent_scale(const Graph& graph) {
  const Node& latent = graph.node(0);
  EXPECT_EQ(std::get<Input>(latent.op), Input{"latent"});
  EXPECT_EQ(latent.output.dtype, DType::f32);
  const auto* scale = std::get_if<Scale>(&graph.node(1).op);
  if (scale == nullptr) return std::nullopt;
  EXPECT_THAT(graph.node(1).inputs, ElementsAre(0));
  EXPECT_EQ(graph.node(1).output, latent.output);
  return *scale;
}

TEST(VaeDecoder, DividesByTheScalingFactor) {
  VaeConfig vae = preset("tiny").vae;
  vae.scaling_factor = 0.25;
  EXPECT_EQ(latent_scale(vae_decoder_graph(vae, {.dtype = DType::bf16})), (Scale{{4}, {0}}));
  vae.scaling_factor = 1;
  EXPECT_EQ(latent_scale(vae_decoder_graph(vae, {})), std::nullopt);
}

TEST(VaeDecoder, TakesDeviationsAndMeansByChannel) {
  VaeConfig vae = preset("tiny").vae;
  vae.scaling_factor = 0.5;
  vae.latents_std = {4, 5, 6, 7};
  vae.latents_mean = {-1.5, 0, 0.5, 2};
  const auto scale = latent_scale(vae_decoder_graph(vae, {.dtype = DType::bf16}));
  ASSERT_TRUE(scale);
  EXPECT_THAT(scale->factor, ElementsAre(8, 10, 12, 14));
  EXPECT_THAT(scale->offset, ElementsAre(-1.5f, 0, 0.5f, 2));
}

TEST(TinyVaeDecoder, DividesByTheScalingFactorOfItsOwn) {
  TinyVaeConfig vae = tiny_vae_preset("tiny");
  vae.scaling_factor = 0.125;
  EXPECT_EQ(latent_scale(tiny_vae_decoder_graph(vae, {.dtype = DType::bf16})), (Scale{{8}, {0}}));
}

}  // namespace
}  // namespace tempera
