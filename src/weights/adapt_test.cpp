// Checkpoints under other names: views where they can be, a transposed copy where not; and the names of single files.
#include "weights/adapt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <thread>

#include "weights/naming.h"
#include "weights/safetensors.h"
#include "weights/test_files.h"

namespace tempera {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

std::vector<std::byte> counting(size_t size) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i);
  return bytes;
}

// A checkpoint of u8 tensors whose bytes count from 0.
class Adapt : public testing::Test {
 protected:
  std::shared_ptr<const Checkpoint> made(const std::vector<std::pair<std::string, std::vector<int64_t>>>& tensors,
                                         DType dtype = DType::u8) {
    std::vector<std::pair<TensorSpec, std::vector<std::byte>>> contents;
    for (const auto& [name, dims] : tensors) {
      const TensorSpec spec{name, dtype, dims};
      contents.emplace_back(spec, counting(spec.bytes()));
    }
    const auto path = folder_ / fmt::format("{}.safetensors", files_++);
    write_safetensors(path, contents);
    return std::make_shared<SafetensorsFile>(path);
  }

  TempFolder folder_;
  int files_ = 0;
};

std::vector<int> values(const TensorView& view) {
  std::vector<int> values;
  for (const std::byte byte : view.bytes) values.push_back(std::to_integer<int>(byte));
  return values;
}

TEST_F(Adapt, ViewsAndCopies) {
  const auto below =
      made({{"m", {2, 3}}, {"conv", {2, 2, 1, 1}}, {"kernel", {1, 1, 2, 2}}, {"qkv", {6, 2}}, {"rest", {1}}});
  const AdaptedCheckpoint adapted(below, {{"same", {"m"}},
                                          {"turned", {"m", Transform::transpose}},
                                          {"matrix", {"conv", Transform::squeeze}},
                                          {"kept", {"kernel", Transform::squeeze}},
                                          {"q", {"qkv", Transform::third_0}},
                                          {"k", {"qkv", Transform::third_1}},
                                          {"v", {"qkv", Transform::third_2}},
                                          {"absent", {"not there"}}});
  EXPECT_THAT(adapted.names(), ElementsAre("k", "kept", "matrix", "q", "same", "turned", "v"));
  EXPECT_EQ(adapted.get("same").bytes.data(), below->get("m").bytes.data());
  EXPECT_THAT(adapted.get("turned").dims, ElementsAre(3, 2));
  EXPECT_THAT(values(adapted.get("turned")), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_EQ(adapted.get("turned").bytes.data(), adapted.get("turned").bytes.data());
  EXPECT_THAT(adapted.get("matrix").dims, ElementsAre(2, 2));
  EXPECT_THAT(adapted.get("kept").dims, ElementsAre(1, 1, 2, 2));
  EXPECT_THAT(adapted.get("k").dims, ElementsAre(2, 2));
  EXPECT_THAT(values(adapted.get("q")), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(values(adapted.get("k")), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(values(adapted.get("v")), ElementsAre(8, 9, 10, 11));
  EXPECT_EQ(adapted.find("absent"), std::nullopt);
  EXPECT_EQ(adapted.find("m"), std::nullopt);
  EXPECT_THAT(adapted.origin("k"), HasSubstr("'qkv' in '"));
  for (const std::string& name : adapted.names()) adapted.release(adapted.get(name).bytes);
  EXPECT_THAT(values(adapted.get("turned")), ElementsAre(0, 3, 1, 4, 2, 5));
}

TEST_F(Adapt, TransposeKeepsElementsWhole) {
  const AdaptedCheckpoint adapted(made({{"m", {2, 2}}}, DType::f16), {{"t", {"m", Transform::transpose}}});
  EXPECT_THAT(values(adapted.get("t")), ElementsAre(0, 1, 4, 5, 2, 3, 6, 7));
}

TEST_F(Adapt, TransposeFromManyThreads) {
  const AdaptedCheckpoint adapted(made({{"m", {64, 32}}}), {{"t", {"m", Transform::transpose}}});
  std::vector<std::thread> threads;
  std::vector<const std::byte*> places(8);
  for (size_t i = 0; i < places.size(); ++i)
    threads.emplace_back([&, i] { places[i] = adapted.get("t").bytes.data(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set(places.begin(), places.end()).size(), 1u);
}

TEST_F(Adapt, WrongShapesAreErrors) {
  const AdaptedCheckpoint adapted(made({{"v", {7}}, {"s", {}}, {"c", {2, 2, 2}}}),
                                  {{"third", {"v", Transform::third_1}},
                                   {"scalar", {"s", Transform::third_0}},
                                   {"turned", {"c", Transform::transpose}}});
  EXPECT_THAT(bad_file_message([&] { adapted.find("third"); }), HasSubstr("of shape 7 does not fall into three parts"));
  EXPECT_THAT(bad_file_message([&] { adapted.find("scalar"); }), HasSubstr("of shape scalar does not fall"));
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(bad_file_message([&] { adapted.find("turned"); }), HasSubstr("of shape 2x2x2 cannot be transposed"));
  }
}

TEST_F(Adapt, UntransformedIsTheInverse) {
  EXPECT_THAT(untransformed(Transform::none, {2, 3}), ElementsAre(2, 3));
  EXPECT_THAT(untransformed(Transform::squeeze, {2, 3}), ElementsAre(2, 3, 1, 1));
  EXPECT_THAT(untransformed(Transform::squeeze, {2}), ElementsAre(2));
  EXPECT_THAT(untransformed(Transform::transpose, {2, 3}), ElementsAre(3, 2));
  EXPECT_THAT(untransformed(Transform::third_1, {2, 3}), ElementsAre(6, 3));
}

TEST_F(Adapt, CanonicalTextEncoders) {
  const auto with = with_canonical_names(made({{"text_model.final_layer_norm.weight", {1}},
                                               {"text_model.embeddings.position_ids", {1}},
                                               {"text_projection.weight", {1, 1}}}),
                                         "text_encoder_2");
  const auto without = with_canonical_names(made({{"final_layer_norm.weight", {1}},
                                                  {"embeddings.position_ids", {1}},
                                                  {"text_projection.weight", {1, 1}},
                                                  {"logit_scale", {}}}),
                                            "text_encoder_2");
  EXPECT_THAT(with->names(), ElementsAre("text_model.final_layer_norm.weight", "text_projection.weight"));
  EXPECT_EQ(without->names(), with->names());
  EXPECT_THAT(bad_file_message([&] {
                with_canonical_names(made({{"final_layer_norm.bias", {1}}, {"text_model.final_layer_norm.bias", {1}}}),
                                     "text_encoder");
              }),
              HasSubstr("are the same weight under two names"));
}

TEST_F(Adapt, CanonicalVaeAndUnet) {
  const std::string old = "encoder.mid_block.attentions.0.";
  const auto vae = with_canonical_names(made({{old + "query.weight", {2, 2}},
                                              {old + "key.weight", {2, 2, 1, 1}},
                                              {old + "value.bias", {2}},
                                              {old + "proj_attn.weight", {2, 2}},
                                              {old + "group_norm.weight", {2}},
                                              {"quant_conv.weight", {2, 2, 1, 1}}}),
                                        "vae");
  EXPECT_THAT(vae->names(),
              UnorderedElementsAre(old + "to_q.weight", old + "to_k.weight", old + "to_v.bias", old + "to_out.0.weight",
                                   old + "group_norm.weight", "quant_conv.weight"));
  EXPECT_THAT(vae->get(old + "to_k.weight").dims, ElementsAre(2, 2));
  EXPECT_THAT(vae->get("quant_conv.weight").dims, ElementsAre(2, 2, 1, 1));
  const std::string transformer = "down_blocks.1.attentions.0.";
  const auto unet = with_canonical_names(
      made({{transformer + "proj_in.weight", {2, 2, 1, 1}}, {transformer + "proj_out.weight", {2, 2}}}), "unet");
  EXPECT_THAT(unet->get(transformer + "proj_in.weight").dims, ElementsAre(2, 2));
  EXPECT_THAT(unet->get(transformer + "proj_out.weight").dims, ElementsAre(2, 2));
}

std::string ldm(const LdmNames& names, std::string_view component, std::string_view diffusers) {
  const auto source = names.ldm_name(component, diffusers);
  return source ? source->name : "";
}

// The rows of diffusers' conversion tables.
TEST(LdmNames, KnownNamesOfSdxl) {
  const LdmNames names{LdmLayout{}};
  const auto unet = [&](std::string_view name) { return ldm(names, "unet", name); };
  const std::string model = "model.diffusion_model.";
  EXPECT_EQ(unet("time_embedding.linear_2.bias"), model + "time_embed.2.bias");
  EXPECT_EQ(unet("add_embedding.linear_1.weight"), model + "label_emb.0.0.weight");
  EXPECT_EQ(unet("conv_in.weight"), model + "input_blocks.0.0.weight");
  EXPECT_EQ(unet("conv_norm_out.weight"), model + "out.0.weight");
  EXPECT_EQ(unet("conv_out.weight"), model + "out.2.weight");
  EXPECT_EQ(unet("down_blocks.0.resnets.1.norm1.weight"), model + "input_blocks.2.0.in_layers.0.weight");
  EXPECT_EQ(unet("down_blocks.0.downsamplers.0.conv.weight"), model + "input_blocks.3.0.op.weight");
  EXPECT_EQ(unet("down_blocks.1.resnets.0.conv_shortcut.bias"), model + "input_blocks.4.0.skip_connection.bias");
  EXPECT_EQ(unet("down_blocks.2.attentions.1.transformer_blocks.9.attn2.to_k.weight"),
            model + "input_blocks.8.1.transformer_blocks.9.attn2.to_k.weight");
  EXPECT_EQ(unet("mid_block.resnets.1.time_emb_proj.weight"), model + "middle_block.2.emb_layers.1.weight");
  EXPECT_EQ(unet("mid_block.attentions.0.proj_in.weight"), model + "middle_block.1.proj_in.weight");
  EXPECT_EQ(unet("up_blocks.0.upsamplers.0.conv.weight"), model + "output_blocks.2.2.conv.weight");
  EXPECT_EQ(unet("up_blocks.1.upsamplers.0.conv.weight"), model + "output_blocks.5.2.conv.weight");
  EXPECT_EQ(unet("up_blocks.2.resnets.2.conv2.weight"), model + "output_blocks.8.0.out_layers.3.weight");
  EXPECT_EQ(unet("up_blocks.3.resnets.0.conv2.weight"), "");
  EXPECT_EQ(unet("down_blocks.2.downsamplers.0.conv.weight"), "");

  const auto vae = [&](std::string_view name) { return ldm(names, "vae", name); };
  EXPECT_EQ(vae("decoder.up_blocks.0.resnets.2.conv1.weight"), "first_stage_model.decoder.up.3.block.2.conv1.weight");
  EXPECT_EQ(vae("decoder.up_blocks.2.resnets.0.conv_shortcut.weight"),
            "first_stage_model.decoder.up.1.block.0.nin_shortcut.weight");
  EXPECT_EQ(vae("decoder.up_blocks.1.upsamplers.0.conv.bias"), "first_stage_model.decoder.up.2.upsample.conv.bias");
  EXPECT_EQ(vae("encoder.down_blocks.1.downsamplers.0.conv.bias"),
            "first_stage_model.encoder.down.1.downsample.conv.bias");
  EXPECT_EQ(vae("encoder.mid_block.attentions.0.to_out.0.weight"),
            "first_stage_model.encoder.mid.attn_1.proj_out.weight");
  EXPECT_EQ(vae("encoder.conv_norm_out.weight"), "first_stage_model.encoder.norm_out.weight");
  EXPECT_EQ(vae("post_quant_conv.weight"), "first_stage_model.post_quant_conv.weight");

  const std::string clip = "conditioner.embedders.";
  EXPECT_EQ(ldm(names, "text_encoder", "text_model.encoder.layers.11.mlp.fc1.weight"),
            clip + "0.transformer.text_model.encoder.layers.11.mlp.fc1.weight");
  const auto key = names.ldm_name("text_encoder_2", "text_model.encoder.layers.31.self_attn.k_proj.bias");
  ASSERT_TRUE(key);
  EXPECT_EQ(key->name, clip + "1.model.transformer.resblocks.31.attn.in_proj_bias");
  EXPECT_EQ(key->transform, Transform::third_1);
  const auto projection = names.ldm_name("text_encoder_2", "text_projection.weight");
  ASSERT_TRUE(projection);
  EXPECT_EQ(projection->name, clip + "1.model.text_projection");
  EXPECT_EQ(projection->transform, Transform::transpose);
}

TEST(LdmNames, OtherLayouts) {
  const std::string model = "model.diffusion_model.";
  // The refiner: four levels, the innermost way up without transformers, one text encoder.
  const LdmNames refiner{
      {.has_text_encoder = false, .down_resnets = {2, 2, 2, 2}, .up_ends_in_transformer = {false, true, true, false}}};
  EXPECT_EQ(ldm(refiner, "unet", "up_blocks.0.upsamplers.0.conv.weight"), model + "output_blocks.2.1.conv.weight");
  EXPECT_EQ(ldm(refiner, "unet", "up_blocks.2.upsamplers.0.conv.weight"), model + "output_blocks.8.2.conv.weight");
  EXPECT_EQ(ldm(refiner, "text_encoder_2", "text_model.final_layer_norm.bias"),
            "conditioner.embedders.0.model.ln_final.bias");
  EXPECT_EQ(ldm(refiner, "text_encoder", "text_model.final_layer_norm.bias"), "");
  // KOALA: one resnet per level.
  const LdmNames koala{{.down_resnets = {1, 1, 1}}};
  EXPECT_EQ(ldm(koala, "unet", "down_blocks.1.resnets.0.conv1.weight"), model + "input_blocks.3.0.in_layers.2.weight");
  EXPECT_EQ(ldm(koala, "unet", "up_blocks.1.attentions.1.norm.weight"), model + "output_blocks.3.1.norm.weight");
  // Stable Diffusion's older way of storing projections.
  const LdmNames conv{{.linear_projection = false}};
  const auto projection = conv.ldm_name("unet", "mid_block.attentions.0.proj_in.weight");
  ASSERT_TRUE(projection);
  EXPECT_EQ(projection->transform, Transform::squeeze);
}

TEST_F(Adapt, SingleFileSpellings) {
  const auto file = made({{"vae.quant_conv.weight", {2, 2, 1, 1}},
                          {"vae.decoder.mid.attn_1.q.weight", {2, 2, 1, 1}},
                          {"conditioner.embedders.0.transformer.final_layer_norm.weight", {2}},
                          {"conditioner.embedders.0.transformer.text_model.embeddings.position_ids", {2}},
                          {"conditioner.embedders.1.model.logit_scale", {}},
                          {"model.diffusion_model.middle_block.1.proj_in.weight", {2, 2, 1, 1}},
                          {"model_ema.decay", {}},
                          {"denoiser.sigmas", {2}}});
  const LdmNames names{LdmLayout{}};
  EXPECT_THAT(names.component(file, "vae")->names(),
              ElementsAre("decoder.mid_block.attentions.0.to_q.weight", "quant_conv.weight"));
  EXPECT_THAT(names.component(file, "text_encoder")->names(), ElementsAre("text_model.final_layer_norm.weight"));
  EXPECT_THAT(names.component(file, "text_encoder_2")->names(), ElementsAre());
  const auto unet = names.component(file, "unet");
  EXPECT_THAT(unet->get("mid_block.attentions.0.proj_in.weight").dims, ElementsAre(2, 2));
}

}  // namespace
}  // namespace tempera
