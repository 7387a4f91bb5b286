// Without --model, every command uses the embedded model. The model sets the values that the request leaves out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "e2e/program.h"
#include "e2e/tiny_model.h"
#include "glyphs.h"
#include "image/picture_file.h"

namespace tempera::test {
namespace {

using testing::HasSubstr;

TEST(EmojiByDefault, Generates) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "apple.png";
  const Ran ran = run_tempera({"generate", "a red apple", "--steps", "4", "--seed", "1", "--output", file});
  ASSERT_EQ(ran.status, 0) << ran.err;
  Image8 read = load_picture(file).image;
  EXPECT_EQ(read.width, 256);
  EXPECT_EQ(read.height, 256);
  const Glyphs glyphs;
  Image image;
  image.width = read.width;
  image.height = read.height;
  image.rgb = std::move(read.rgb);
  const Tile picture = reduced(image);
  EXPECT_THAT(nearest(picture, glyphs.of_style("noto")).name, HasSubstr("apple"));
}

TEST(EmojiByDefault, Plans) {
  const Ran ran = run_tempera({"plan", "--json"});
  ASSERT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("emoji-xl"));
  EXPECT_THAT(ran.out, HasSubstr("\"runs\": 20"));
}

// The smallest budget with the tiny autoencoder, from the error of a smaller one: "...; 128 MiB with ...".
std::string least_with_tiny_vae(std::vector<std::string> request) {
  request.insert(request.end(), {"--tiny-vae", "model", "--memory-budget", "1MiB"});
  const std::string refused = run_tempera(request).err;
  const size_t last = refused.rfind("; ") + 2;
  return refused.substr(last, refused.find(" MiB with", last) - last) + "MiB";
}

// A budget that is too small for the full autoencoder, because the tile is kept large. The model's own tiny autoencoder
// decodes, as if the request named it.
TEST(EmojiByDefault, DecodesWithItsTinyAutoencoderWhereNothingElseFits) {
  const TemporaryFolder folder;
  const std::vector<std::string> request = {
      "generate", "a red apple", "--device", "cpu",    "--dtype", "fp32",   "--width",         "640", "--height",
      "640",      "--steps",     "1",        "--seed", "1",       "--json", "--vae-tile-size", "640"};
  const auto generate = [&](const char* file, std::vector<std::string> more) {
    more.insert(more.begin(), request.begin(), request.end());
    more.insert(more.end(), {"--output", folder.path() / file});
    const Ran ran = run_tempera(more);
    EXPECT_EQ(ran.status, 0) << ran.err;
    return ran.out;
  };
  const std::string budget = least_with_tiny_vae(request);
  const std::string chosen = generate("chosen.png", {"--memory-budget", budget});
  EXPECT_THAT(chosen, HasSubstr("\"decoder\": \"AutoencoderTiny\""));
  EXPECT_THAT(chosen, HasSubstr(", tiny decoder "));
  const std::string asked = generate("asked.png", {"--memory-budget", budget, "--tiny-vae", "model"});
  EXPECT_THAT(generate("full.png", {}), HasSubstr("\"decoder\": \"AutoencoderKL\""));
  const auto png = [&](const char* file) { return load_picture(folder.path() / file); };
  EXPECT_EQ(png("chosen.png").image.rgb, png("asked.png").image.rgb);
  EXPECT_EQ(png("chosen.png").text, png("asked.png").text);
  EXPECT_THAT(png("chosen.png").text.at(0).second, HasSubstr("VAE: vae_tiny"));
  EXPECT_NE(png("chosen.png").image.rgb, png("full.png").image.rgb);
}

TEST(EmojiByDefault, IsDescribed) {
  const Ran ran = run_tempera({"info"});
  ASSERT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("emoji-xl"));
  EXPECT_THAT(ran.out, HasSubstr("v_prediction"));
}

}  // namespace
}  // namespace tempera::test
