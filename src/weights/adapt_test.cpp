// Checkpoints under other names, their elements, and the names of single files.
#include "weights/adapt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <memory>
#include <thread>

#include "support/test_files.h"
#include "weights/naming.h"
#include "weights/safetensors.h"

namespace tempera {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
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

  TemporaryFolder folder_;
  int files_ = 0;
};

std::vector<int> values(const CheckpointTensor& tensor) {
  std::vector<int> values;
  for (const std::byte byte : stored_bytes(tensor)) values.push_back(std::to_integer<int>(byte));
  return values;
}

TEST_F(Adapt, ReadersOverReaders) {
  const auto below =
      made({{"m", {2, 3}}, {"conv", {2, 2, 1, 1}}, {"kernel", {1, 1, 2, 2}}, {"qkv", {6, 2}}, {"rest", {1}}});
  const AdaptedCheckpoint adapted(below, {{"same", {"m"}},
                                          {"turned", {"m", Transform::transpose}},
                                          {"matrix", {"conv", Transform::squeeze}},
                                          {"kept", {"kernel", Transform::squeeze}},
                                          {"q", {"qkv", Transform::third_0}},
                                          {"k", {"qkv", Transform::third_1}},
                                          {"v", {"qkv", Transform::third_2}}});
  EXPECT_THAT(adapted.names(), ElementsAre("k", "kept", "matrix", "q", "same", "turned", "v"));
  EXPECT_THAT(values(adapted.get("same")), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(adapted.get("turned").dims, ElementsAre(3, 2));
  EXPECT_THAT(values(adapted.get("turned")), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(adapted.get("matrix").dims, ElementsAre(2, 2));
  EXPECT_THAT(adapted.get("kept").dims, ElementsAre(1, 1, 2, 2));
  EXPECT_THAT(adapted.get("k").dims, ElementsAre(2, 2));
  EXPECT_THAT(values(adapted.get("q")), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(values(adapted.get("k")), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(values(adapted.get("v")), ElementsAre(8, 9, 10, 11));
  EXPECT_FALSE(adapted.find("absent"));
  EXPECT_FALSE(adapted.find("m"));
  EXPECT_THAT(adapted.origin("k"), HasSubstr("'qkv' in '"));
  for (const std::string& name : adapted.names())
    adapted.get(name).reader->done(0, static_cast<size_t>(adapted.get(name).elements()));
  EXPECT_THAT(values(adapted.get("turned")), ElementsAre(0, 3, 1, 4, 2, 5));
}

// The same checkpoint with its own revisions, and with readers that record returns.
class Noting final : public Checkpoint {
 public:
  explicit Noting(std::shared_ptr<const Checkpoint> below) : below_(std::move(below)) {}
  std::vector<std::string> names() const override { return below_->names(); }
  std::string origin(std::string_view name) const override { return below_->origin(name); }
  uint64_t revision() const override { return 9; }
  std::optional<CheckpointTensor> find(std::string_view name) const override {
    auto tensor = below_->find(name);
    if (!tensor) return tensor;
    bytes_.push_back(stored_bytes(*tensor));
    tensor->revision = 7;
    const std::byte* begin = bytes_.back().data();
    tensor->reader = std::make_shared<StoredElements>(tensor->dtype, bytes_.back(), nullptr, [this, begin](auto range) {
      given_back.emplace_back(range.data() - begin, range.size());
    });
    return tensor;
  }
  mutable std::vector<std::pair<std::ptrdiff_t, size_t>> given_back;

 private:
  std::shared_ptr<const Checkpoint> below_;
  mutable std::list<std::vector<std::byte>> bytes_;
};

TEST_F(Adapt, PassesOnRevisionsAndWhatIsGivenBack) {
  const auto below = std::make_shared<Noting>(made({{"m", {6, 4}}}));
  const AdaptedCheckpoint adapted(below, {{"squeezed", {"m", Transform::squeeze}},
                                          {"third", {"m", Transform::third_1}},
                                          {"turned", {"m", Transform::transpose}}});
  const auto squeezed = adapted.get("squeezed"), third = adapted.get("third"), turned = adapted.get("turned");
  for (const CheckpointTensor* tensor : {&squeezed, &third, &turned}) EXPECT_EQ(tensor->revision, 7u);
  EXPECT_EQ(adapted.revision(), 9u);
  squeezed.reader->done(2, 3);
  third.reader->done(1, 4);
  EXPECT_THAT(below->given_back, ElementsAre(Pair(2, 3), Pair(9, 4)));
  below->given_back.clear();
  // Columns share their pages with all others: the matrix is given back with the last.
  for (size_t first = 0; first < 24; first += 6) turned.reader->done(first, 6);
  EXPECT_THAT(below->given_back, ElementsAre(Pair(0, 24)));
}

// More than one tile in both directions, and no multiple of tiles.
TEST_F(Adapt, PiecesOfATransposedMatrixEqualTheWhole) {
  constexpr size_t kRows = 131, kColumns = 201;  // of the matrix below
  for (const DType dtype : {DType::u8, DType::f16, DType::f32, DType::f64}) {
    const auto below = made({{"m", {kRows, kColumns}}}, dtype);
    const CheckpointTensor m = below->get("m");
    const CheckpointTensor t = AdaptedCheckpoint(below, {{"t", {"m", Transform::transpose}}}).get("t");
    ASSERT_THAT(t.dims, ElementsAre(kColumns, kRows));
    const size_t size = size_of(dtype);
    const std::vector<std::byte> bytes = stored_bytes(m);
    std::vector<std::byte> expected(bytes.size()), pieces(bytes.size());
    for (size_t i = 0; i < kRows * kColumns; ++i)
      std::copy_n(&bytes[i * size], size, &expected[(i % kColumns * kRows + i / kColumns) * size]);
    EXPECT_TRUE(stored_bytes(t) == expected) << name(dtype);
    for (size_t end = kRows * kColumns, n = 1; end > 0; n = n * 7 % 1009) {  // of many lengths, from the end on
      const size_t count = std::min(n, end);
      end -= count;
      t.reader->read(end, count, dtype, &pieces[end * size]);
    }
    EXPECT_TRUE(pieces == expected) << name(dtype);
    // Within rows; across their ends; with rows apart.
    for (const ElementBlock& block :
         {ElementBlock{3 * kRows + 7, 90, 100, kRows}, ElementBlock{2 * kRows, 70, kRows, kRows},
          ElementBlock{kRows + 100, 5, 60, kRows}, ElementBlock{11, 9, 300, 777}}) {
      const size_t pitch = (block.columns + 3) * size;
      std::vector<std::byte> out(block.rows * pitch);
      t.reader->read_block(block, dtype, out.data(), pitch);
      for (size_t r = 0; r < block.rows; ++r)
        EXPECT_TRUE(std::equal(&out[r * pitch], &out[r * pitch] + block.columns * size,
                               &expected[(block.first + r * block.stride) * size]))
            << name(dtype) << " row " << r;
    }
  }
}

TEST_F(Adapt, TransposeConverts) {
  const auto below = made({{"m", {5, 7}}}, DType::f16);
  const std::vector<float> m = below->get("m").floats();
  const std::vector<float> t = AdaptedCheckpoint(below, {{"t", {"m", Transform::transpose}}}).get("t").floats();
  for (size_t r = 0; r < 5; ++r)
    for (size_t c = 0; c < 7; ++c) EXPECT_EQ(t[c * 5 + r], m[r * 7 + c]);
}

TEST_F(Adapt, TransposeFromManyThreads) {
  const AdaptedCheckpoint adapted(made({{"m", {64, 200}}}), {{"t", {"m", Transform::transpose}}});
  const std::vector<int> expected = values(adapted.get("t"));
  std::vector<std::thread> threads;
  std::vector<std::vector<int>> results(8);
  threads.reserve(results.size());
  for (auto& result : results) threads.emplace_back([&] { result = values(adapted.get("t")); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_TRUE(result == expected);
}

TEST_F(Adapt, WrongShapesAreErrors) {
  const AdaptedCheckpoint adapted(made({{"v", {7}}, {"s", {}}, {"c", {2, 2, 2}}}),
                                  {{"third", {"v", Transform::third_1}},
                                   {"scalar", {"s", Transform::third_0}},
                                   {"turned", {"c", Transform::transpose}}});
  EXPECT_THAT(bad_file_message([&] { adapted.find("third"); }), HasSubstr("of shape 7 does not fall into three parts"));
  EXPECT_THAT(bad_file_message([&] { adapted.find("scalar"); }), HasSubstr("of shape scalar does not fall"));
  EXPECT_THAT(bad_file_message([&] { adapted.find("turned"); }),
              HasSubstr("of shape 2x2x2 cannot be transposed: it must be a matrix"));
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

// Without a transformer, the upsampler has the place of the transformer.
TEST_F(Adapt, SingleFileModulesOfOnePlace) {
  const std::string place = "model.diffusion_model.output_blocks.2.1.";
  const auto file = made({{place + "conv.weight", {2, 2, 3, 3}}, {place + "norm.weight", {2}}, {place + "other", {2}}});
  const LdmNames names{{.up_ends_in_transformer = {false, true, false}}};
  EXPECT_THAT(names.component(file, "unet")->names(),
              ElementsAre("up_blocks.0.attentions.2.norm.weight", "up_blocks.0.upsamplers.0.conv.weight"));
}

TEST_F(Adapt, SingleFileThirds) {
  const std::string layer = "conditioner.embedders.1.model.transformer.resblocks.10.attn.";
  const auto file = made({{layer + "in_proj_weight", {6, 2}}, {layer + "out_proj.bias", {2}}});
  const auto encoder = LdmNames{LdmLayout{}}.component(file, "text_encoder_2");
  const std::string own = "text_model.encoder.layers.10.self_attn.";
  EXPECT_THAT(encoder->names(),
              ElementsAre(own + "k_proj.weight", own + "out_proj.bias", own + "q_proj.weight", own + "v_proj.weight"));
  EXPECT_THAT(values(encoder->get(own + "k_proj.weight")), ElementsAre(4, 5, 6, 7));
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
