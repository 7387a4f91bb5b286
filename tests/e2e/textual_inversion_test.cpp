// The option --textual-inversion: the pictures, their settings text, the plans, and wrong values.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <span>

#include "image/picture_file.h"
#include "program.h"
#include "support/test_files.h"
#include "tiny_model.h"

namespace tempera::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Words = std::vector<std::string>;

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class TextualInversion : public testing::Test {
 protected:
  TextualInversion() {
    setenv("XDG_CACHE_HOME", "/dev/null/none", 1);  // no hash is ever known
    write("embeddings/zqstyle.safetensors", 3, 1);
    write("embeddings/zqbad.safetensors", 1, -2);
  }
  ~TextualInversion() override { unsetenv("XDG_CACHE_HOME"); }

  // Vectors for the widths of the tiny model.
  void write(const std::string& name, int64_t count, float scale) const {
    std::vector<std::pair<TensorSpec, std::vector<std::byte>>> tensors;
    for (const auto& [tensor, width] : {std::pair("clip_g", 64), std::pair("clip_l", 32)}) {
      std::vector<float> values(static_cast<size_t>(count * width));
      for (size_t i = 0; i < values.size(); ++i) values[i] = scale * static_cast<float>(i % 7) / 8;
      const auto bytes = std::as_bytes(std::span(values));
      tensors.push_back({{tensor, DType::f32, {count, width}}, {bytes.begin(), bytes.end()}});
    }
    write_safetensors(folder_ / name, tensors);
  }
  Ran run(const Words& words) const {
    Surroundings here;
    here.folder = folder_.path();
    return run_tempera(words, here);
  }
  static Words draw_words(const Words& more) {
    return Words{"generate", "--model", tiny_folder(), "--width",  "64",  "--height", "64", "--steps",
                 "2",        "--dtype", "fp32",        "--device", "cpu", "--seed",   "7"} +
           more;
  }
  Ran draw(const std::string& prompt, const Words& more) const {
    return run(draw_words(Words{prompt, "--output", "a.png"} + more));
  }
  std::vector<uint8_t> pixels(const std::string& prompt, const Words& more) {
    const Ran ran = draw(prompt, more);
    EXPECT_EQ(ran.status, 0) << ran.err;
    const std::string bytes = read_file(folder_ / "a.png");
    const PictureFile file = read_picture(std::as_bytes(std::span(bytes)), "a.png");
    text_ = file.text.at(0).second;
    return file.image.rgb;
  }

  TemporaryFolder folder_;
  std::string text_;  // the settings of the last picture
  const Words style_ = {"--textual-inversion", "embeddings/zqstyle.safetensors"};
  const Words named_ = {"--models-dir", "embeddings", "--textual-inversion", "ZqStyle"};
};

TEST_F(TextualInversion, WordsChangeThePicturesThatHaveThem) {
  const auto plain = pixels("a zqstyle cat", {}), with = pixels("a zqstyle cat", style_);
  EXPECT_NE(plain, with);
  EXPECT_EQ(pixels("a zqstyle cat", {"--textual-inversion", "embeddings/zqstyle.safetensors:other"}), plain);
  EXPECT_EQ(pixels("a OTHER cat", {"--textual-inversion", "embeddings/zqstyle.safetensors:other"}), with);
  EXPECT_NE(pixels("a zqstyle_1 cat", style_), with) << "one vector of three";
}

TEST_F(TextualInversion, TheTextOfAPictureRedrawsIt) {
  const auto first = pixels("a zqstyle cat", style_ + Words{"--textual-inversion", "embeddings/zqbad.safetensors:zq",
                                                            "--negative-prompt", "zq"});
  EXPECT_THAT(text_, AllOf(HasSubstr("textual_inversion: \"zqstyle:zqstyle, zqbad:zq\""), Not(HasSubstr("embeddings")),
                           Not(HasSubstr("TI hashes"))));
  const Words again = {"--models-dir",        "embeddings", "--textual-inversion", "zqstyle:zqstyle",
                       "--textual-inversion", "zqbad:zq",   "--negative-prompt",   "zq"};
  EXPECT_EQ(pixels("a zqstyle cat", again), first);
}

TEST_F(TextualInversion, HashesThatAreKnownAreInTheText) {
  setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);
  ASSERT_EQ(run({"models", "--models-dir", "embeddings", "--hash"}).status, 0);
  const Ran list = run({"models", "--models-dir", "embeddings", "--json"});
  std::string hash;
  const json listed = json::parse(list.out);
  for (const json& model : listed.at("models")) {
    if (model.at("name") != "zqstyle.safetensors") continue;
    EXPECT_EQ(model.at("kind"), "embedding");
    hash = model.at("sha256");
  }
  ASSERT_EQ(hash.size(), 64u);
  pixels("a zqstyle cat", named_);
  EXPECT_THAT(text_, HasSubstr("TI hashes: \"zqstyle: " + hash.substr(0, 12) + "\""));
}

TEST_F(TextualInversion, EncodedPromptsHaveTheWords) {
  pixels("a zqstyle cat", style_);
  const std::string expected = read_file(folder_ / "a.png");
  const Ran ran = run(Words{"encode", "a zqstyle cat", "--model", tiny_folder(), "--dtype", "fp32", "--device", "cpu",
                            "--output", "e.safetensors"} +
                      style_);
  ASSERT_EQ(ran.status, 0) << ran.err;
  const Ran drawn = run(draw_words({"--prompt-embeds", "e.safetensors", "--output", "a.png"}));
  ASSERT_EQ(drawn.status, 0) << drawn.err;
  EXPECT_TRUE(read_file(folder_ / "a.png") == expected) << "the same file";
  const Ran both = run(draw_words(Words{"--prompt-embeds", "e.safetensors"} + style_));
  EXPECT_EQ(both.status, 2);
  EXPECT_THAT(both.err, HasSubstr("--textual-inversion and --prompt-embeds are both given"));
}

// The rows are an input of the text encoders, so a plan without words is the same as ever.
TEST_F(TextualInversion, PlansCountTheRows) {
  const auto io = [&](const Words& more) {
    const Ran ran =
        run(Words{"plan", "--model", tiny_folder(), "--device", "cuda", "--dtype", "fp32", "--json"} + more);
    EXPECT_EQ(ran.status, 0) << ran.err;
    std::vector<uint64_t> bytes;
    const json plan = json::parse(ran.out);
    for (const json& stage : plan.at("stages")) bytes.push_back(stage.at("io"));
    return bytes;
  };
  const std::vector<uint64_t> plain = io({}), with = io(style_);
  ASSERT_EQ(plain.size(), 4u);
  EXPECT_GE(with[0], plain[0] + 75 * 32 * 4);
  EXPECT_GE(with[1], plain[1] + 75 * 64 * 4);
  EXPECT_EQ(with[2], plain[2]);
  EXPECT_EQ(with[3], plain[3]);
}

TEST_F(TextualInversion, AWordInNoPromptIsAWarning) {
  const Ran ran = draw("a cat", style_);
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.err, HasSubstr("the word 'zqstyle' of an embedding is in no prompt"));
  EXPECT_EQ(draw("a zqstyle cat", style_).err, "");
}

TEST_F(TextualInversion, MistakesAreNamed) {
  const auto expect_mistake = [&](const Words& words, const Words& said) {
    const Ran ran = draw("a cat", words);
    EXPECT_EQ(ran.status, 2) << ran.err;
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
    for (const std::string& word : said) EXPECT_THAT(ran.err, HasSubstr(word));
  };
  expect_mistake(style_ + style_, {"the word 'zqstyle' of --textual-inversion is given twice"});
  expect_mistake({"--textual-inversion", "embeddings/zqstyle.safetensors:!"}, {"'!'", "is a token", "another word"});
  expect_mistake({"--textual-inversion", "embeddings/zqstyle.safetensors:"}, {"--textual-inversion", "FILE:WORD"});
  expect_mistake({"--models-dir", "embeddings", "--textual-inversion", "zqstile"}, {"did you mean 'zqstyle'"});
  expect_mistake({"--textual-inversion", tiny_folder() / "vae/diffusion_pytorch_model.safetensors"},
                 {"is a VAE", "--textual-inversion"});
  write_file(folder_ / "embeddings/old.pt", "PK\x03\x04");
  expect_mistake({"--models-dir", "embeddings", "--textual-inversion", "old"}, {"old.pt", "is a pickle"});
}

}  // namespace
}  // namespace tempera::test
