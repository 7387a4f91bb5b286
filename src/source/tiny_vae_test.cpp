// A tiny autoencoder is found in all places, and one that cannot decode the model's latents is refused before any work.
#include "source/tiny_vae.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/config_writer.h"
#include "source/test_models.h"
#include "support/test_files.h"

namespace tempera {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kFile = "diffusion_pytorch_model.safetensors";

TinyVaeConfig narrow() {
  return tiny_vae_preset("tiny");
}

class TinyVae : public testing::Test {
 protected:
  // A diffusers folder called `name`.
  fs::path folder(const std::string& name, const TinyVaeConfig& config) {
    write_zeros(folder_ / name / kFile, tensors_of(config));
    write_file(folder_ / name / "config.json", to_json(config));
    return folder_ / name;
  }
  std::string problem(const fs::path& where) {
    return bad_file_message([&] { open_tiny_vae(where.string(), folder_.path(), model_); });
  }
  TemporaryFolder folder_;
  VaeConfig model_ = preset("tiny").vae;
};

TEST_F(TinyVae, OpensFoldersAndFiles) {
  const fs::path one = folder("one", narrow());
  for (const fs::path& where : {one, one / kFile}) {
    const LoneComponent source = open_tiny_vae(where.string(), "nowhere", model_);
    EXPECT_EQ(tiny_vae_config(source), narrow()) << where;
    EXPECT_TRUE(source.component.weights->find("decoder.layers.0.weight")) << where;
  }
  write_zeros(folder_ / "taesdxl.safetensors", tensors_of(TinyVaeConfig()));
  EXPECT_EQ(tiny_vae_config(open_tiny_vae((folder_ / "taesdxl.safetensors").string(), "", model_)), TinyVaeConfig());
}

TEST_F(TinyVae, OpensTheModelsOwn) {
  const fs::path own = folder("vae_tiny", narrow());
  EXPECT_EQ(open_tiny_vae("model", folder_.path(), model_).path, own);
  EXPECT_THROW(
      {
        try {
          open_tiny_vae("model", folder_ / "other", model_);
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
          EXPECT_THAT(error.what(), AllOf(HasSubstr("other"), HasSubstr("vae_tiny"), HasSubstr("give tiny_vae")));
          throw;
        }
      },
      Error);
}

TEST_F(TinyVae, RefusesWhatIsNone) {
  EXPECT_THAT(problem(folder_ / "missing"), AllOf(HasSubstr("missing"), HasSubstr("diffusers folder")));
  fs::create_directory(folder_ / "empty");
  EXPECT_THAT(problem(folder_ / "empty"), HasSubstr("config.json"));
  write_zeros(folder_ / "lora.safetensors", {{"lora.weight", DType::f16, {4}}});
  EXPECT_THAT(problem(folder_ / "lora.safetensors"),
              AllOf(HasSubstr("lora.safetensors"), HasSubstr("decoder.layers.0"), HasSubstr("AutoencoderTiny")));
  write_file(folder_ / "x.pt", "\x80\x02}q\x01.");
  EXPECT_THAT(problem(folder_ / "x.pt"), HasSubstr("pickle"));
}

TEST_F(TinyVae, RefusesShapesAndLatentsThatDoNotFit) {
  write_zeros(folder_ / "narrow.safetensors", tensors_of(narrow()));  // without its config
  EXPECT_THAT(problem(folder_ / "narrow.safetensors"),
              AllOf(HasSubstr("is 16, expected 64"), HasSubstr("config.json")));
  TinyVaeConfig sixteen = narrow();
  sixteen.latent_channels = 16;
  EXPECT_THAT(problem(folder("sixteen", sixteen)), AllOf(HasSubstr("sixteen"), HasSubstr("16 channels")));
  TinyVaeConfig shallow = narrow();
  shallow.decoder_block_out_channels = shallow.encoder_block_out_channels = {16, 16};
  shallow.num_decoder_blocks = shallow.num_encoder_blocks = {1, 1};
  EXPECT_THAT(problem(folder("shallow", shallow)), HasSubstr("2 times"));
}

}  // namespace
}  // namespace tempera
