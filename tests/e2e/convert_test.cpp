// tempera convert: pictures of a converted model are those of its source, and stopped or failed conversions leave
// nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <utility>

#include "image/picture_file.h"
#include "program.h"
#include "tiny_model.h"

namespace tempera::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

class Convert : public testing::Test {
 protected:
  Ran run(const std::vector<std::string>& arguments) {
    Surroundings surroundings;
    surroundings.folder = folder_.path();
    return run_tempera(arguments, surroundings);
  }
  fs::path converted(const fs::path& in, const std::string& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"convert", in, out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Ran ran = run(arguments);
    EXPECT_EQ(ran.status, 0) << ran.err;
    EXPECT_EQ(ran.out, out + "\n");
    return folder_ / out;
  }
  std::vector<uint8_t> picture(const fs::path& model, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = generate_arguments({"--model", model, "--output", "p.png"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Ran ran = run(arguments);
    EXPECT_EQ(ran.status, 0) << ran.err;
    const std::string bytes = read_file(folder_ / "p.png");
    return read_picture(std::as_bytes(std::span(bytes)), "p.png").image.rgb;
  }
  TemporaryFolder folder_;
};

// The width of the heads and the vocabulary of the tiny model are not in its single file.
const std::vector<std::string>& rest_of_model() {
  static const std::vector<std::string> rest = {"--model-config", tiny_folder(), "--tokenizer", tiny_folder()};
  return rest;
}

TEST_F(Convert, PicturesAreThoseOfTheSource) {
  const std::vector<uint8_t> expected = picture(tiny_folder());
  EXPECT_EQ(picture(converted(tiny_folder(), "copy")), expected);
  const fs::path file = converted(tiny_folder(), "m.safetensors");
  EXPECT_EQ(picture(file, rest_of_model()), expected);
  EXPECT_EQ(picture(converted(file, "back", rest_of_model())), expected);
  const fs::path gguf = converted(tiny_folder(), "m.gguf", {"--dtype", "fp16"});
  EXPECT_EQ(picture(gguf, rest_of_model()), expected);
  EXPECT_EQ(picture(converted(gguf, "from gguf", rest_of_model())), expected);
  EXPECT_EQ(picture(converted(tiny_folder(), "wide", {"--dtype", "fp32"})), expected);
  EXPECT_NE(picture(converted(tiny_folder(), "q.gguf", {"--dtype", "q4_0"}), rest_of_model()), expected);
  EXPECT_NE(picture(converted(tiny_folder(), "fp8", {"--dtype", "fp8"})), expected);
}

TEST_F(Convert, ReplacesParts) {
  converted(tiny_folder() / "vae", "vae", {"--dtype", "fp32"});
  const std::vector<uint8_t> expected = picture(tiny_folder());
  EXPECT_EQ(picture(converted(tiny_folder(), "m", {"--vae", "vae", "--unet", tiny_folder() / "unet"})), expected);
}

TEST_F(Convert, SaysWhatASingleFileCannotHold) {
  const Ran ran = run({"convert", tiny_folder(), "m.safetensors"});
  EXPECT_THAT(ran.err, HasSubstr("tempera: warning: 'm.safetensors' cannot hold the configuration, the tokenizers"));
}

TEST_F(Convert, CtrlCLeavesNothing) {
  const Ran synth = run({"synth", "--preset", "small", "--dtype", "fp32", "model"});
  ASSERT_EQ(synth.status, 0) << synth.err;
  for (const std::string out : {"m.gguf", "m"}) {
    Surroundings terminal;
    terminal.folder = folder_.path();
    terminal.terminal = true;
    bool is_sent = false;  // the second signal would end the process at once
    terminal.on_error_text = [&](std::string_view, pid_t process) {
      if (!std::exchange(is_sent, true)) ::kill(process, SIGINT);
    };
    const Ran ran = run_tempera({"convert", "model", out, "--dtype", out == "m" ? "fp16" : "q4_k"}, terminal);
    EXPECT_EQ(ran.status, 130) << ran.err;
    EXPECT_THAT(folder_.names(), testing::ElementsAre("model"));
  }
}

}  // namespace
}  // namespace tempera::test
