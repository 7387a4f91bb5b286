// Precomputed embeddings of prompts: the same pictures, byte for byte, from a model without text encoders.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "program.h"
#include "tiny_model.h"

namespace tempera::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;
using Words = std::vector<std::string>;

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const Words kPrompt = {"a red apple"};

Words draw(const fs::path& model, const Words& more) {
  return Words{"generate", "--model", model,  "--width",  "64",  "--height", "64", "--steps",
               "2",        "--dtype", "fp32", "--device", "cpu", "--seed",   "7"} +
         more;
}

class Embeddings : public testing::Test {
 protected:
  Ran run(const Words& words) {
    Surroundings here;
    here.folder = folder_.path();
    return run_tempera(words, here);
  }
  void encode(const Words& words) {
    const Ran ran = run(
        Words{"encode", "--model", tiny_folder(), "--dtype", "fp32", "--device", "cpu", "--output", "e.safetensors"} +
        words);
    ASSERT_EQ(ran.status, 0) << ran.err;
    EXPECT_EQ(ran.out, "e.safetensors\n");
    EXPECT_EQ(ran.err, "");
  }
  std::string drawn(const Words& words) {
    const Ran ran = run(words + Words{"--output", "a.png"});
    EXPECT_EQ(ran.status, 0) << ran.err;
    return read_file(folder_.path() / "a.png");
  }
  // The tiny model without the vocabularies and weights of the text encoders, under the same name.
  fs::path without_text_encoders() {
    fs::path copy = folder_.path() / tiny_folder().filename();
    fs::copy(tiny_folder(), copy, fs::copy_options::recursive);
    for (const char* part : {"text_encoder", "text_encoder_2"}) fs::remove(copy / part / "model.safetensors");
    for (const char* part : {"tokenizer", "tokenizer_2"}) fs::remove_all(copy / part);
    return copy;
  }
  TemporaryFolder folder_;
};

// The file names its prompts and model, so that even the settings in the pictures are the same.
TEST_F(Embeddings, DrawTheSamePictures) {
  const fs::path bare = without_text_encoders();
  const Words prompts[] = {{},
                           {"--negative-prompt", "blurry"},
                           {"--negative-prompt", "", "--prompt-2", "blue"},
                           {"--clip-skip", "1", "--negative-prompt-2", "photo"}};
  const Words from_file = {"--prompt-embeds", "e.safetensors"};
  for (const Words& prompt : prompts) {
    encode(kPrompt + prompt);
    const std::string expected = drawn(draw(tiny_folder(), kPrompt + prompt));
    EXPECT_TRUE(drawn(draw(bare, from_file)) == expected);
    EXPECT_TRUE(drawn(draw(tiny_folder(), from_file)) == expected);
  }
  const Words last = kPrompt + prompts[3];
  for (const Words& way : {Words{"--guidance-scale", "1"}, Words{"--guidance-rescale", "0.5", "--images", "2"}})
    EXPECT_TRUE(drawn(draw(bare, from_file + way)) == drawn(draw(tiny_folder(), last + way))) << way[0];
}

TEST_F(Embeddings, NeedTextEncodersThatAreWholeOnlyToBeMade) {
  encode(kPrompt);
  const fs::path model = without_text_encoders();
  write_file(model / "text_encoder" / "model.safetensors", "not opened");
  drawn(draw(model, {"--prompt-embeds", "e.safetensors"}));
  const Ran ran = run(draw(model, kPrompt));
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.err, HasSubstr("text_encoder/model.safetensors"));
}

TEST_F(Embeddings, LeaveTextEncodersOutOfThePlan) {
  encode(kPrompt);
  for (const Words& model : {Words{"--preset", "tiny"}, Words{"--model", without_text_encoders()}}) {
    const Ran ran = run(Words{"plan", "--device", "cuda", "--json", "--prompt-embeds", "e.safetensors"} + model);
    ASSERT_EQ(ran.status, 0) << ran.err;
    std::vector<std::string> stages;
    const json plan = json::parse(ran.out);
    for (const json& stage : plan.at("stages")) stages.push_back(stage.at("name"));
    EXPECT_THAT(stages, ElementsAre("unet", "vae_decoder"));
  }
}

TEST_F(Embeddings, AreDescribedToMachines) {
  const Ran ran = run({"encode", "x", "--model", tiny_folder(), "--output", "e.safetensors", "--json"});
  ASSERT_EQ(ran.status, 0) << ran.err;
  const json result = json::parse(ran.out);
  EXPECT_EQ(result.at("file"), "e.safetensors");
  EXPECT_EQ(result.at("tokens"), 77);
  EXPECT_GT(result.at("seconds").at("text").get<double>(), 0);
}

TEST_F(Embeddings, MistakesAreNamed) {
  const auto expect_mistake = [this](const Words& words, const Words& said) {
    const Ran ran = run(words);
    EXPECT_EQ(ran.status, 2) << ran.err;
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
    for (const std::string& word : said) EXPECT_THAT(ran.err, HasSubstr(word));
  };
  const Words encode_words = {"encode", "--model", tiny_folder()};
  expect_mistake(encode_words + Words{"--output", "e.safetensors"}, {"no prompt"});
  expect_mistake(encode_words + kPrompt, {"no file", "--output"});
  expect_mistake(encode_words + kPrompt + Words{"--output", "e.bin"}, {"--output", "e.bin", ".safetensors"});
  expect_mistake(encode_words + kPrompt + Words{"--output", "no/e.safetensors"}, {"'no'", "create it"});
  expect_mistake(encode_words + kPrompt + Words{"--steps", "4", "--output", "e.safetensors"}, {"--steps"});
  EXPECT_THAT(folder_.names(), IsEmpty());

  encode(kPrompt);
  const Words from_file = {"--prompt-embeds", "e.safetensors"};
  expect_mistake(draw(tiny_folder(), from_file + kPrompt), {"--prompt and --prompt-embeds"});
  for (const char* option : {"--prompt-2", "--negative-prompt", "--negative-prompt-2", "--clip-skip"})
    expect_mistake(draw(tiny_folder(), from_file + Words{option, "1"}), {option, "leave", "tempera encode"});
  expect_mistake(draw(tiny_folder(), {"--prompt-embeds", "no.safetensors"}), {"no.safetensors"});
  expect_mistake(draw(tiny_folder(), {"--prompt-embeds", tiny_folder() / "vae/diffusion_pytorch_model.safetensors"}),
                 {"prompt_embeds", "tempera encode"});
  expect_mistake({"plan", "--preset", "sdxl-base", "--prompt-embeds", "e.safetensors"},
                 {"1x77x96", "1xTx2048", "another model"});
  fs::resize_file(folder_.path() / "e.safetensors", 1000);
  expect_mistake(draw(tiny_folder(), from_file), {"e.safetensors", "truncated"});
  write_file(folder_.path() / "e.safetensors", std::string("\x80\x02}q\x01.\0\0", 8));
  expect_mistake(draw(tiny_folder(), from_file), {"e.safetensors", "pickle"});
  EXPECT_THAT(folder_.names(), ElementsAre("e.safetensors"));
}

TEST_F(Embeddings, AppearWholeOrNotAtAll) {
  Surroundings full;
  full.folder = folder_.path();
  full.file_size_limit = 2000;
  const Ran ran = run_tempera({"encode", "x", "--model", tiny_folder(), "--output", "e.safetensors"}, full);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr("e.safetensors"));
  EXPECT_THAT(folder_.names(), IsEmpty());
}

}  // namespace
}  // namespace tempera::test
