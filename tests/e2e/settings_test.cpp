// Formats of pictures, the settings in them, and pictures that are drawn from the settings of others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "program.h"
#include "tiny_model.h"

namespace tempera::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class SettingsOfPictures : public testing::Test {
 protected:
  Ran run(std::vector<std::string> arguments) {
    Surroundings here;
    here.folder = folder_.path();
    return run_tempera(arguments, here);
  }
  Ran generate(const std::vector<std::string>& more) { return run(generate_arguments(more)); }
  Ran generate_from(const std::string& picture, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"generate", "--from", picture, "--models-dir", tiny_folder().parent_path(),
                                          "--device", "cpu"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
  std::string bytes(const std::string& name) { return read_file(folder_ / name); }
  json info(const std::string& name) {
    const Ran ran = run({"info", name, "--json"});
    EXPECT_EQ(ran.status, 0) << ran.err;
    return json::parse(ran.out);
  }

  TemporaryFolder folder_;
};

TEST_F(SettingsOfPictures, AreTheSameInEveryFormat) {
  for (const char* name : {"a.png", "a.jpg", "a.webp"})
    ASSERT_EQ(generate({"--negative-prompt", "b\xC3\xA4", "--output", name}).status, 0);
  EXPECT_THAT(bytes("a.png"), StartsWith("\x89PNG"));
  EXPECT_THAT(bytes("a.jpg"), StartsWith("\xFF\xD8\xFF"));
  EXPECT_THAT(bytes("a.webp").substr(8), StartsWith("WEBP"));
  const json settings = info("a.png");
  EXPECT_EQ(settings.at("program"), "tempera");
  EXPECT_EQ(settings.at("fields").at("negative_prompt"), "b\xC3\xA4");
  EXPECT_EQ(settings.at("fields").at("seed"), "7");
  EXPECT_EQ(info("a.jpg"), settings);
  EXPECT_EQ(info("a.webp"), settings);
  EXPECT_THAT(run({"info", "a.jpg"}).out, HasSubstr("\nnum_inference_steps  2\n"));
}

TEST_F(SettingsOfPictures, FormatsHaveQualityAndAMark) {
  const std::string mark = "digitalsourcetype/trainedAlgorithmicMedia";
  ASSERT_EQ(generate({"--output", "a.jpg"}).status, 0);
  ASSERT_EQ(generate({"--output", "b.jpg", "--quality", "10", "--no-ai-mark"}).status, 0);
  ASSERT_EQ(generate({"--output", "a.png"}).status, 0);
  ASSERT_EQ(generate({"--output", "b.png", "--no-ai-mark"}).status, 0);
  EXPECT_LT(bytes("b.jpg").size(), bytes("a.jpg").size());
  for (const char* name : {"a.jpg", "a.png"}) EXPECT_THAT(bytes(name), HasSubstr(mark)) << name;
  for (const char* name : {"b.jpg", "b.png"}) EXPECT_THAT(bytes(name), Not(HasSubstr("digitalsourcetype"))) << name;
  EXPECT_THAT(generate({"--output", "-", "--format", "webp"}).out.substr(8), StartsWith("WEBP"));
  EXPECT_EQ(generate({"--format", "jpeg"}).out, "tempera-7.jpg\n");
}

TEST_F(SettingsOfPictures, MistakesInFormats) {
  const auto mistake = [this](const std::vector<std::string>& more) {
    const Ran ran = generate(more);
    EXPECT_EQ(ran.status, 2);
    return ran.err;
  };
  EXPECT_THAT(mistake({"--output", "a.gif"}), HasSubstr("--output 'a.gif' does not end in .png, .jpg, .jpeg or .webp"));
  EXPECT_THAT(mistake({"--output", "a.png", "--quality", "90"}), HasSubstr("--quality is for JPEG and WebP"));
  EXPECT_THAT(mistake({"--output", "a.jpg", "--quality", "0"}), HasSubstr("--quality is '0'"));
  EXPECT_THAT(mistake({"--output", "a.jpg", "--format", "png"}), HasSubstr("a name that ends in .png"));
  EXPECT_THAT(mistake({"--output", "a.webp", "--width", "16384"}), HasSubstr("too large for a WebP file"));
  EXPECT_TRUE(folder_.names().empty());
}

TEST_F(SettingsOfPictures, DrawTheSamePictureAgain) {
  ASSERT_EQ(generate({"--scheduler", "DPM++ 2M", "--rng", "cuda", "--output", "a.png"}).status, 0);
  const Ran ran = generate_from("a.png", {"--output", "b.png"});
  ASSERT_EQ(ran.status, 0) << ran.err;
  EXPECT_EQ(ran.err, "");
  EXPECT_TRUE(bytes("b.png") == bytes("a.png"));
  ASSERT_EQ(generate_from("a.png", {"--output", "c.png", "--steps", "3", "--prompt", "blue"}).status, 0);
  const json fields = info("c.png").at("fields");
  EXPECT_EQ(fields.at("num_inference_steps"), "3");
  EXPECT_EQ(fields.at("prompt"), "blue");
  EXPECT_EQ(fields.at("scheduler"), "DPM++ 2M");
}

TEST_F(SettingsOfPictures, MistakesInSettings) {
  const auto mistake = [](const Ran& ran) {
    EXPECT_EQ(ran.status, 2);
    return ran.err;
  };
  EXPECT_THAT(mistake(generate_from("none.png", {})), HasSubstr("none.png"));
  write_file(folder_ / "text.png", "no picture");
  EXPECT_THAT(mistake(generate_from("text.png", {})), HasSubstr("text.png"));
  ASSERT_EQ(generate({"--output", "a.png"}).status, 0);
  EXPECT_THAT(mistake(run({"generate", "--from", "a.png"})), HasSubstr("'tiny'"));
}

}  // namespace
}  // namespace tempera::test
