// Models, folders and names as people have them, and what public bug reports say goes wrong with them: a picture that
// is right, or one sentence with the remedy before any work.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "image/infotext.h"
#include "image/picture_file.h"
#include "program.h"
#include "tiny_model.h"

namespace tempera::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;
using Words = std::vector<std::string>;

PictureFile png_of(const fs::path& path) {
  const std::string bytes = read_file(path);
  return read_picture(std::as_bytes(std::span(bytes)), path.string());
}

Infotext text_of(const fs::path& path) {
  return parse_infotext(png_of(path).text.at(0).second);
}

class Faults : public testing::Test {
 protected:
  Ran run(const Words& arguments, Surroundings surroundings = {}) {
    surroundings.folder = folder_.path();
    return run_tempera(arguments, surroundings);
  }
  Ran generate(const Words& more, Surroundings surroundings = {}) {
    return run(generate_arguments(more), std::move(surroundings));
  }
  // The picture's bytes without its text.
  std::vector<uint8_t> drawn(const Words& more) {
    Words arguments = more;
    arguments.insert(arguments.end(), {"--output", "drawn.png"});
    const Ran ran = generate(arguments);
    EXPECT_EQ(ran.status, 0) << ran.err;
    return png_of(folder_ / "drawn.png").image.rgb;
  }
  fs::path copy_of_folder(const std::string& name) {
    fs::copy(tiny_folder(), folder_ / name, fs::copy_options::recursive);
    return folder_ / name;
  }
  TemporaryFolder folder_;
};

void edit(const fs::path& file, const std::function<void(json&)>& change) {
  json value = json::parse(read_file(file));
  change(value);
  write_file(file, value.dump());
}

// Sets all elements of a tensor of type F16 to NaN.
void spoil(const fs::path& file, const std::string& tensor) {
  std::string bytes = read_file(file);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const json entry = json::parse(bytes.substr(8, length)).at(tensor);
  ASSERT_EQ(entry.at("dtype"), "F16");
  const size_t begin = 8 + length + entry.at("data_offsets").at(0).get<size_t>(),
               end = 8 + length + entry.at("data_offsets").at(1).get<size_t>();
  for (size_t at = begin; at < end; at += 2) bytes.replace(at, 2, "\x00\x7E", 2);
  write_file(file, bytes);
}

TEST_F(Faults, ASingleFileNeedsNothingElse) {
  ASSERT_EQ(run({"synth", "--preset", "small", "small.safetensors"}).status, 0);
  const Ran ran = run({"generate", "a red apple", "--model", "small.safetensors", "--width", "64", "--height", "64",
                       "--steps", "1", "--device", "cpu", "--output", "a.png"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_EQ(ran.err, "");
  EXPECT_EQ(png_of(folder_ / "a.png").image.width, 64);
}

// ---- Overrides and parts that the request does not use.

TEST_F(Faults, AnotherSamplerReplacesOneThatCannotBeUsed) {
  const std::vector<uint8_t> expected = drawn({"--scheduler", "euler"});
  const auto check = [&](const std::string& name, const std::function<void(const fs::path&)>& change,
                         const std::string& shown) {
    const fs::path model = copy_of_folder(name);
    change(model / "scheduler/scheduler_config.json");
    EXPECT_EQ(drawn({"--scheduler", "euler", "--model", name}), expected) << name;
    const Ran own = generate({"--model", name});
    EXPECT_EQ(own.status, 2);
    EXPECT_THAT(own.err, AllOf(HasSubstr("scheduler_config.json"), HasSubstr("--scheduler"))) << name;
    const Ran info = run({"info", name, "--json"});
    EXPECT_EQ(info.status, 0) << info.err;
    EXPECT_EQ(json::parse(info.out).at("scheduler"), shown);
  };
  check(
      "unknown", [](const fs::path& f) { edit(f, [](json& j) { j["_class_name"] = "OfTomorrowScheduler"; }); },
      "OfTomorrowScheduler");
  check(
      "missing", [](const fs::path& f) { fs::remove_all(f.parent_path()); }, "none");
}

TEST_F(Faults, EmbeddingsNeedNoTextEncoders) {
  ASSERT_EQ(run({"encode", "a red apple", "--model", tiny_folder(), "--dtype", "fp32", "--device", "cpu", "--output",
                 "e.safetensors"})
                .status,
            0);
  Words draw = generate_arguments({"--prompt-embeds", "e.safetensors", "--output", "a.png"});
  draw.erase(std::find(draw.begin(), draw.end(), "a red apple"));
  ASSERT_EQ(run(draw).status, 0);
  const std::vector<uint8_t> expected = png_of(folder_ / "a.png").image.rgb;
  const fs::path model = copy_of_folder("bare");
  for (const char* part : {"text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"}) {
    fs::remove_all(model / part);
    edit(model / "model_index.json", [&](json& j) { j[part] = {nullptr, nullptr}; });
  }
  draw.insert(draw.end(), {"--model", "bare"});
  const Ran ran = run(draw);
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_EQ(png_of(folder_ / "a.png").image.rgb, expected);
  EXPECT_EQ(run({"info", "bare"}).status, 0);
  const Ran prompt = generate({"--model", "bare"});
  EXPECT_EQ(prompt.status, 2);
  EXPECT_THAT(prompt.err, AllOf(HasSubstr("text_encoder and text_encoder_2"), HasSubstr("--prompt-embeds")));
}

// ---- The output.

TEST_F(Faults, NamesThatCannotBeWrittenAreFoundBeforeTheWork) {
  fs::create_directory(folder_ / "folder.png");
  ASSERT_EQ(::mkfifo((folder_ / "pipe.png").c_str(), 0600), 0);
  fs::create_symlink("nowhere/x.png", folder_ / "dangling.png");
  fs::create_symlink("loop.png", folder_ / "loop.png");
  const std::vector<std::string> before = folder_.names();
  const std::pair<std::string, std::string> names[] = {{std::string(252, 'a') + ".png", "too long"},
                                                       {std::string(248, 'a') + "{seed}.png", "too long"},
                                                       {"folder.png", "is a folder"},
                                                       {"dangling.png", "'nowhere' of --output does"},
                                                       {"loop.png", "loop of symbolic links"},
                                                       {"/proc/a.png", "cannot be written to"}};
  for (const auto& [name, problem] : names) {
    // So many steps would take minutes.
    const Ran ran = generate({"--steps", "9999", "--seed", "12345", "--output", name});
    EXPECT_EQ(ran.status, 2) << name;
    EXPECT_THAT(ran.err, AllOf(HasSubstr("--output"), HasSubstr(problem)));
  }
  const Ran encode = run({"encode", "x", "--model", "no/such/model", "-o", std::string(252, 'a') + ".safetensors"});
  EXPECT_EQ(encode.status, 2);
  EXPECT_THAT(encode.err, HasSubstr("too long"));
  const Ran pipe = run({"encode", "x", "--model", "no/such/model", "-o", "pipe.png"});
  EXPECT_EQ(pipe.status, 2);
  EXPECT_THAT(pipe.err, HasSubstr("is a pipe or a device"));
  EXPECT_EQ(folder_.names(), before);
}

TEST_F(Faults, ALinkStaysAndItsFileIsReplaced) {
  fs::create_directory(folder_ / "disk");
  fs::create_symlink("disk/real.png", folder_ / "link.png");
  ASSERT_EQ(generate({"--output", "link.png"}).status, 0);
  EXPECT_TRUE(fs::is_symlink(folder_ / "link.png"));
  EXPECT_EQ(png_of(folder_ / "disk/real.png").image.width, 64);
  ASSERT_EQ(generate({"--seed", "8", "--output", "link.png"}).status, 0);
  EXPECT_EQ(text_of(folder_ / "disk/real.png").find("Seed"), "8");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link.png"));
}

TEST_F(Faults, ProcessesThatFinishTogetherTakeTheNextNumber) {
  constexpr int kProcesses = 6;
  std::vector<std::thread> threads;
  threads.reserve(kProcesses);
  std::vector<Ran> runs(kProcesses);
  for (Ran& ran : runs) threads.emplace_back([&] { ran = generate({"--threads", "1"}); });
  for (std::thread& thread : threads) thread.join();
  for (const Ran& ran : runs) EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(folder_.names(), ElementsAre("tempera-7-1.png", "tempera-7-2.png", "tempera-7-3.png", "tempera-7-4.png",
                                           "tempera-7-5.png", "tempera-7.png"));
}

TEST_F(Faults, AFinishedPictureIsNotLostWithItsFolder) {
  fs::create_directory(folder_ / "out");
  fs::create_directory(folder_ / "temporary");
  const char* before = std::getenv("TMPDIR");
  const std::string restored = before == nullptr ? "" : before;
  ::setenv("TMPDIR", (folder_ / "temporary").c_str(), 1);
  Surroundings surroundings;
  surroundings.terminal = true;
  surroundings.on_error_text = [&](std::string_view, pid_t) {
    std::error_code ignored;
    fs::remove(folder_ / "out", ignored);
  };
  const Ran ran = generate({"--images", "2", "--output", "out/a.png"}, surroundings);
  restored.empty() ? ::unsetenv("TMPDIR") : ::setenv("TMPDIR", restored.c_str(), 1);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("the folder 'out' does not exist"), HasSubstr("temporary/tempera-7.png'"),
                             HasSubstr("temporary/tempera-8.png'")));
  EXPECT_EQ(text_of(folder_ / "temporary/tempera-7.png").find("Seed"), "7");
  EXPECT_EQ(text_of(folder_ / "temporary/tempera-8.png").find("Seed"), "8");
}

// ---- The text of a picture redraws it.

TEST_F(Faults, TextsSayWhichSamplerDrew) {
  const std::vector<uint8_t> trailing = drawn({"--scheduler", "euler_trailing"});
  EXPECT_EQ(text_of(folder_ / "drawn.png").find("scheduler"), "euler_trailing");
  EXPECT_NE(drawn({"--scheduler", "euler"}), trailing);
  write_file(folder_ / "s.json", R"({"_class_name": "DPMSolverMultistepScheduler", "solver_order": 1,
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "_name_or_path": "secret"})");
  const std::vector<uint8_t> own = drawn({"--scheduler-config", "s.json", "--steps", "4"});
  const std::string text = text_of(folder_ / "drawn.png").find("scheduler_config").value_or("");
  EXPECT_THAT(text, AllOf(HasSubstr("solver_order"), Not(HasSubstr("secret"))));
  EXPECT_EQ(drawn({"--scheduler-config", text, "--steps", "4"}), own);
  EXPECT_EQ(text_of(folder_ / "drawn.png").find("scheduler_config"), text);
}

TEST_F(Faults, TextsSayWhichPromptsDrew) {
  const std::vector<uint8_t> absent = drawn({});
  EXPECT_EQ(text_of(folder_ / "drawn.png").find("negative_prompt"), std::nullopt);
  EXPECT_NE(drawn({"--negative-prompt", ""}), absent);
  EXPECT_EQ(text_of(folder_ / "drawn.png").find("negative_prompt"), "");
  for (const char* prompt : {"say \"hi\", loud", "say \"hi\"", "\"all in quotes\"", "{\"a\": 1}", "it's", "a: b, c"}) {
    drawn({"--prompt-2", prompt});
    EXPECT_EQ(text_of(folder_ / "drawn.png").find("prompt_2"), prompt);
  }
  Words arguments = generate_arguments({"--output", "a.png"});
  const std::string tricky = "a cat\nNegative prompt: a dog";
  *std::find(arguments.begin(), arguments.end(), "a red apple") = tricky;
  ASSERT_EQ(run(arguments).status, 0);
  EXPECT_EQ(text_of(folder_ / "a.png").find("prompt"), tricky);
}

TEST_F(Faults, TextsSayWhichModelDrew) {
  copy_of_folder("sdxl-base-1.0");
  for (const char* path : {"sdxl-base-1.0", "sdxl-base-1.0/", "./sdxl-base-1.0//"}) {
    drawn({"--model", path});
    EXPECT_EQ(text_of(folder_ / "drawn.png").find("Model"), "sdxl-base-1.0") << path;
  }
}

// ---- Values that are not finite, and warnings.

TEST_F(Faults, DamagedWeightsAreNamed) {
  const std::tuple<const char*, const char*, const char*> parts[] = {
      {"unet", "unet/diffusion_pytorch_model.safetensors", "conv_in.bias"},
      {"vae_decoder", "vae/diffusion_pytorch_model.safetensors", "decoder.conv_in.bias"},
      {"text_encoder_2", "text_encoder_2/model.safetensors", "text_model.final_layer_norm.bias"}};
  for (const auto& [component, file, tensor] : parts) {
    const fs::path model = copy_of_folder(component);
    spoil(model / file, tensor);
    const Ran ran = generate({"--model", component, "--output", "a.png"});
    EXPECT_EQ(ran.status, 0) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(fmt::format("warning: the {} ",
                                               std::string_view(component).substr(0, component[0] == 'v' ? 3 : 99))));
    EXPECT_THAT(ran.err, AllOf(HasSubstr(fmt::format("'{}' in '", tensor)), HasSubstr(fmt::format("/{}' has ", file)),
                               HasSubstr("NaN")));
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
  }
}

TEST_F(Faults, TruncationIsSaidOnceAndNamesTheText) {
  std::string many = "a photo of";
  for (int i = 0; i < 60; ++i) many += fmt::format(" thing {},", i);
  const Ran negative = generate({"--negative-prompt", many});
  EXPECT_THAT(negative.err, HasSubstr("warning: the negative prompt is "));
  EXPECT_EQ(std::count(negative.err.begin(), negative.err.end(), '\n'), 1) << negative.err;
  const Ran second = generate({"--prompt-2", many});
  EXPECT_THAT(second.err, HasSubstr("warning: the prompt_2 is "));
  EXPECT_EQ(std::count(second.err.begin(), second.err.end(), '\n'), 1) << second.err;
  std::string longest;
  for (int i = 0; i < 20'000; ++i) longest += "word ";
  const Ran both = generate({"--prompt-2", longest, "--negative-prompt", "x", "--negative-prompt-2", longest});
  EXPECT_EQ(std::count(both.err.begin(), both.err.end(), '\n'), 2) << both.err;
  EXPECT_LT(both.err.size(), 1000u);
}

}  // namespace
}  // namespace tempera::test
