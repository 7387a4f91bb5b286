// The results of `generate` after success and after a stop: files, their names and metadata, and the output in pipes,
// on terminals and as JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "image/infotext.h"
#include "image/picture_file.h"
#include "program.h"
#include "tiny_model.h"

namespace tempera::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
namespace fs = std::filesystem;

PictureFile png_of(const fs::path& path) {
  const std::string bytes = read_file(path);
  return read_picture(std::as_bytes(std::span(bytes)), path.string());
}

class Pictures : public testing::Test {
 protected:
  Ran generate(const std::vector<std::string>& more, Surroundings surroundings = {}) {
    surroundings.folder = folder_.path();
    Ran ran = run_tempera(generate_arguments(more), surroundings);
    return ran;
  }
  TemporaryFolder folder_;
};

TEST_F(Pictures, PipesGetTheNamesAndNothingElse) {
  const Ran ran = generate({});
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ran.out, "tempera-7.png\n");
  EXPECT_EQ(ran.err, "");
  EXPECT_THAT(folder_.names(), ElementsAre("tempera-7.png"));
  EXPECT_EQ(png_of(folder_.path() / "tempera-7.png").image.width, 64);
}

TEST_F(Pictures, TerminalsGetProgress) {
  Surroundings terminal;
  terminal.terminal = true;
  const Ran ran = generate({"--steps", "5"}, terminal);
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.err, HasSubstr("5/5"));
  EXPECT_THAT(ran.err, HasSubstr("it"));
  EXPECT_EQ(ran.out, "tempera-7.png\n");
}

TEST_F(Pictures, NothingIsReplacedUnlessItsNameIsGiven) {
  EXPECT_EQ(generate({}).out, "tempera-7.png\n");
  const std::string first = read_file(folder_.path() / "tempera-7.png");
  EXPECT_EQ(generate({"--prompt-2", "blue"}).out, "tempera-7-1.png\n");
  EXPECT_EQ(read_file(folder_.path() / "tempera-7.png"), first);
  EXPECT_NE(read_file(folder_.path() / "tempera-7-1.png"), first);
  EXPECT_EQ(generate({"--prompt-2", "blue", "--output", "tempera-7.png"}).out, "tempera-7.png\n");
  EXPECT_NE(read_file(folder_.path() / "tempera-7.png"), first);
}

TEST_F(Pictures, PatternsAndSeveralPictures) {
  EXPECT_EQ(generate({"--images", "2", "--output", "x-{index}-{seed}.png"}).out, "x-0-7.png\nx-1-8.png\n");
  EXPECT_EQ(generate({"--images", "2", "--output", "y.png"}).out, "y.png\ny-1.png\n");
  EXPECT_THAT(folder_.names(), ElementsAre("x-0-7.png", "x-1-8.png", "y-1.png", "y.png"));
}

TEST_F(Pictures, DoNotDependOnTheBatchTheyWereComputedIn) {
  ASSERT_EQ(generate({"--images", "3", "--output", "batch.png"}).status, 0);
  const fs::path together[] = {"batch.png", "batch-1.png", "batch-2.png"};
  for (int index = 0; index < 3; ++index) {
    ASSERT_EQ(generate({"--seed", std::to_string(7 + index), "--output", "alone.png"}).status, 0);
    EXPECT_EQ(read_file(folder_.path() / "alone.png"), read_file(folder_.path() / together[index])) << index;
  }
}

TEST_F(Pictures, SameSeedSameFile) {
  ASSERT_EQ(generate({"--output", "a.png"}).status, 0);
  ASSERT_EQ(generate({"--output", "b.png"}).status, 0);
  ASSERT_EQ(generate({"--output", "c.png", "--seed", "8"}).status, 0);
  EXPECT_EQ(read_file(folder_.path() / "a.png"), read_file(folder_.path() / "b.png"));
  EXPECT_NE(png_of(folder_.path() / "a.png").image.rgb, png_of(folder_.path() / "c.png").image.rgb);
}

TEST_F(Pictures, SeedsAreDrawnWhenNoneIsGiven) {
  std::vector<std::string> arguments = generate_arguments({"--json"});
  const auto seed = std::find(arguments.begin(), arguments.end(), "--seed");
  arguments.erase(seed, seed + 2);
  Surroundings here;
  here.folder = folder_.path();
  const json first = json::parse(run_tempera(arguments, here).out),
             second = json::parse(run_tempera(arguments, here).out);
  EXPECT_NE(first.at("seeds"), second.at("seeds"));
}

// Names of other programs draw the same picture, and the text has what was given.
TEST_F(Pictures, OfASamplerByAnotherName) {
  ASSERT_EQ(generate({"--scheduler", "DPM++ 2M", "--schedule", "Karras", "--output", "a.png"}).status, 0);
  ASSERT_EQ(generate({"--scheduler", "dpmpp_2m_karras", "--output", "b.png"}).status, 0);
  ASSERT_EQ(generate({"--scheduler", "dpmpp_2m", "--output", "c.png"}).status, 0);
  const PictureFile a = png_of(folder_.path() / "a.png");
  EXPECT_EQ(a.image.rgb, png_of(folder_.path() / "b.png").image.rgb);
  EXPECT_NE(a.image.rgb, png_of(folder_.path() / "c.png").image.rgb);
  const Infotext info = parse_infotext(a.text.at(0).second);
  EXPECT_EQ(info.find("Sampler"), "DPM++ 2M");
  EXPECT_EQ(info.find("Schedule type"), "Karras");
  EXPECT_EQ(info.find("scheduler"), "DPM++ 2M");
  EXPECT_EQ(info.find("schedule"), "Karras");
}

TEST_F(Pictures, OfOwnLevelsSayThem) {
  ASSERT_EQ(generate({"--scheduler", "euler", "--timesteps", "800,300", "--output", "a.png"}).status, 0);
  ASSERT_EQ(generate({"--scheduler", "ddim", "--eta", "0.5", "--output", "b.png"}).status, 0);
  ASSERT_EQ(generate({"--scheduler", "ddim", "--output", "c.png"}).status, 0);
  const PictureFile b = png_of(folder_.path() / "b.png");
  EXPECT_NE(b.image.rgb, png_of(folder_.path() / "c.png").image.rgb);
  EXPECT_EQ(parse_infotext(png_of(folder_.path() / "a.png").text.at(0).second).find("timesteps"), "800,300");
  EXPECT_EQ(parse_infotext(b.text.at(0).second).find("eta"), "0.5");
}

TEST_F(Pictures, CarryTheirParameters) {
  ASSERT_EQ(generate({"--negative-prompt", "blurry", "--guidance-scale", "4.5", "--output", "a.png"}).status, 0);
  const PictureFile file = png_of(folder_.path() / "a.png");
  ASSERT_EQ(file.text.size(), 2u);
  EXPECT_EQ(file.text[0].first, "parameters");
  const Infotext info = parse_infotext(file.text[0].second);
  EXPECT_EQ(info.prompt, "a red apple");
  EXPECT_EQ(info.negative_prompt, "blurry");
  EXPECT_EQ(info.find("Steps"), "2");
  EXPECT_EQ(info.find("CFG scale"), "4.5");
  EXPECT_EQ(info.find("Seed"), "7");
  EXPECT_EQ(info.find("Size"), "64x64");
  EXPECT_EQ(info.find("RNG"), "CPU");
}

// The place of the parameters changes only the time of their copies.
TEST_F(Pictures, DoNotDependOnWhereParametersAre) {
  ASSERT_EQ(generate({"--output", "a.png"}).status, 0);
  const std::vector<uint8_t> picture = png_of(folder_.path() / "a.png").image.rgb;
  for (const std::string offload : {"none", "model", "sequential"}) {
    ASSERT_EQ(generate({"--offload", offload, "--output", "b.png"}).status, 0) << offload;
    EXPECT_EQ(png_of(folder_.path() / "b.png").image.rgb, picture) << offload;
  }
  ASSERT_EQ(generate({"--memory-budget", "auto", "--output", "b.png"}).status, 0);
  EXPECT_EQ(png_of(folder_.path() / "b.png").image.rgb, picture);
}

// Tiles of several shapes copy their parameters into the same memory, again for every picture.
TEST_F(Pictures, DoNotDependOnWhereTheParametersOfTilesAre) {
  const std::vector<std::string> tiled = {"--width",         "160", "--height", "160",
                                          "--vae-tile-size", "128", "--images", "3"};
  const auto pictures = [&](const std::string& offload) {
    std::vector<std::string> arguments = tiled;
    arguments.insert(arguments.end(), {"--offload", offload, "--output", "{index}.png"});
    EXPECT_EQ(generate(arguments).status, 0) << offload;
    std::vector<std::vector<uint8_t>> drawn;
    for (const char* name : {"0.png", "1.png", "2.png"}) drawn.push_back(png_of(folder_.path() / name).image.rgb);
    return drawn;
  };
  const auto resident = pictures("none");
  for (const char* offload : {"model", "sequential"}) EXPECT_EQ(pictures(offload), resident) << offload;
}

// All ways to decode give about the same picture of a latent, and none depends on the number of pictures.
TEST_F(Pictures, CanBeDecodedInTilesAndByATinyAutoencoder) {
  const std::vector<std::vector<std::string>> ways = {{},
                                                      {"--vae-slicing"},
                                                      {"--vae-tiling"},
                                                      {"--vae-tile-size", "128"},
                                                      {"--tiny-vae", "model"},
                                                      {"--tiny-vae", "model", "--vae-tiling"}};
  std::vector<std::string> texts;
  std::vector<std::vector<uint8_t>> pictures;
  for (std::vector<std::string> way : ways) {
    way.insert(way.end(), {"--width", "160", "--output", "a.png"});
    ASSERT_EQ(generate(way).status, 0);
    PictureFile file = png_of(folder_.path() / "a.png");
    EXPECT_EQ(file.image.width, 160);
    texts.push_back(file.text.at(0).second);
    pictures.push_back(std::move(file.image.rgb));
    way.insert(way.end(), {"--images", "2", "--seed", "6"});
    ASSERT_EQ(generate(way).status, 0);
    EXPECT_EQ(png_of(folder_.path() / "a-1.png").image.rgb, pictures.back()) << texts.back();
  }
  const auto said = [&](size_t way, const char* key) { return parse_infotext(texts[way]).find(key); };
  EXPECT_EQ(pictures[1], pictures[0]);  // slicing changes nothing and is not in the metadata
  EXPECT_EQ(texts[1], texts[0]);
  EXPECT_NE(pictures[2], pictures[0]);
  EXPECT_EQ(pictures[3], pictures[2]);  // the size of the autoencoder
  EXPECT_EQ(said(2, "vae_tile_size"), "128");
  EXPECT_EQ(said(2, "VAE"), std::nullopt);
  EXPECT_NE(pictures[4], pictures[0]);
  EXPECT_EQ(said(4, "VAE"), "vae_tiny");
  EXPECT_NE(pictures[5], pictures[4]);
  EXPECT_EQ(said(5, "vae_tile_size"), "128");
}

// The model's own autoencoder given as another one changes nothing but the text.
TEST_F(Pictures, CanBeDecodedByAnotherAutoencoder) {
  const TemporaryFolder other;
  ASSERT_EQ(run_tempera({"synth", "--preset", "tiny", "--seed", "9", other.path() / "model"}).status, 0);
  fs::copy_file(other.path() / "model/vae/diffusion_pytorch_model.safetensors", other.path() / "my-vae.safetensors");
  struct Drawn {
    std::vector<uint8_t> rgb;
    std::optional<std::string> vae;
  };
  const auto drawn = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--output", "a.png"});
    const Ran ran = generate(more);
    EXPECT_EQ(ran.status, 0) << ran.err;
    PictureFile file = png_of(folder_.path() / "a.png");
    return Drawn{std::move(file.image.rgb), parse_infotext(file.text.at(0).second).find("VAE")};
  };
  const Drawn plain = drawn({}), own = drawn({"--vae", tiny_folder() / "vae"}),
              file = drawn({"--vae", other.path() / "my-vae.safetensors"}),
              model = drawn({"--vae", other.path() / "model"});
  EXPECT_EQ(plain.vae, std::nullopt);
  EXPECT_EQ(own.rgb, plain.rgb);
  EXPECT_EQ(own.vae, "vae");
  EXPECT_NE(file.rgb, plain.rgb);
  EXPECT_EQ(file.vae, "my-vae");
  EXPECT_EQ(model.rgb, file.rgb);
}

TEST_F(Pictures, AreDescribedToMachines) {
  const Ran ran = generate({"--json", "--images", "2"});
  ASSERT_EQ(ran.status, 0);
  EXPECT_EQ(ran.err, "");
  const json result = json::parse(ran.out);
  EXPECT_EQ(result.at("files"), json({"tempera-7.png", "tempera-8.png"}));
  EXPECT_EQ(result.at("seeds"), json({7, 8}));
  EXPECT_GT(result.at("seconds").at("denoise").get<double>(), 0);
  EXPECT_GE(result.at("seconds").at("total").get<double>(), result.at("seconds").at("denoise").get<double>());
  EXPECT_GT(result.at("memory").at("planned_peak_bytes").get<size_t>(), 0u);
  EXPECT_GT(result.at("memory").at("measured_peak_bytes").get<size_t>(), 0u);
  EXPECT_EQ(result.at("plan").at("width"), 64);
}

// Sends Ctrl-C when the first denoising step is shown, so that the speed of the machine does not matter.
TEST_F(Pictures, StoppedOnesLeaveNothing) {
  for (const int signal : {SIGINT, SIGTERM}) {
    bool sent = false;
    Surroundings surroundings;
    surroundings.terminal = true;
    surroundings.on_error_text = [&sent, signal](std::string_view err, pid_t process) {
      if (!sent && err.find("denoise") != err.npos) {
        sent = true;
        kill(process, signal);
      }
    };
    const Ran ran = generate({"--steps", "9999", "--output", "a.png"}, surroundings);
    EXPECT_EQ(ran.status, 128 + signal) << ran.err;
    EXPECT_THAT(folder_.names(), IsEmpty());
  }
}

TEST_F(Pictures, AreDrawnFromASingleFileToo) {
  const Ran ran = generate({"--model", tiny_single_file(), "--model-config", tiny_folder(), "--tokenizer",
                            tiny_folder(), "--output", "a.png"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(folder_.names(), ElementsAre("a.png"));
}

// A model without a UNet draws with one from another place, and the picture names it.
TEST_F(Pictures, AreDrawnWithAnotherUnet) {
  const fs::path model = folder_.path() / "model", unet = folder_.path() / "other";
  fs::copy(tiny_folder(), model, fs::copy_options::recursive);
  fs::rename(model / "unet", unet);
  ASSERT_EQ(generate({"--output", "own.png"}).status, 0);
  const Ran ran = generate({"--model", model, "--unet", unet, "--output", "other.png"});
  ASSERT_EQ(ran.status, 0) << ran.err;
  const PictureFile own = png_of(folder_.path() / "own.png"), other = png_of(folder_.path() / "other.png");
  EXPECT_EQ(other.image.rgb, own.image.rgb);
  EXPECT_EQ(parse_infotext(own.text.at(0).second).find("UNet"), std::nullopt);
  EXPECT_EQ(parse_infotext(other.text.at(0).second).find("UNet"), "other");
  // Names that every diffusers folder has do not identify a UNet.
  const fs::path file = unet / "diffusion_pytorch_model.safetensors";
  ASSERT_EQ(generate({"--model", model, "--unet", file, "--output", "file.png"}).status, 0);
  EXPECT_EQ(parse_infotext(png_of(folder_.path() / "file.png").text.at(0).second).find("UNet"), "other");
  fs::create_directories(folder_.path() / "second");
  fs::rename(unet, folder_.path() / "second/unet");
  ASSERT_EQ(generate({"--model", model, "--unet", "second/unet/", "--output", "second.png"}).status, 0);
  EXPECT_EQ(parse_infotext(png_of(folder_.path() / "second.png").text.at(0).second).find("UNet"), "second/unet");
}

TEST(Plan, NeedsNoFilesAndNoGpu) {
  for (const char* device : {"cpu", "cuda"}) {
    const Ran ran = run_tempera({"plan", "--preset", "sdxl-base", "--device", device, "--json"});
    ASSERT_EQ(ran.status, 0) << ran.err;
    const json plan = json::parse(ran.out);
    EXPECT_EQ(plan.at("device"), device);
    EXPECT_EQ(plan.at("width"), 1024);
    const json& memory = plan.at("memory");
    const double parts = memory.at("weights").get<double>() + memory.at("activations").get<double>() +
                         memory.at("stream").get<double>() + memory.at("kept").get<double>() +
                         memory.at("io").get<double>() + memory.at("overhead").get<double>();
    EXPECT_GT(plan.at("peak_bytes").get<double>(), 4e9);
    EXPECT_EQ(parts, plan.at("peak_bytes").get<double>());
    EXPECT_GT(plan.at("flops").get<double>(), 1e14);
  }
}

TEST(Plan, ListsEveryStep) {
  const Ran ran = run_tempera({"plan", "--model", tiny_folder(), "--listing", "--device", "cpu"});
  ASSERT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("memory"));
  EXPECT_THAT(ran.out, HasSubstr("conv2d"));
}

TEST(Info, SaysWhatAModelIs) {
  const Ran ran = run_tempera({"info", tiny_folder(), "--json"});
  ASSERT_EQ(ran.status, 0) << ran.err;
  const json info = json::parse(ran.out);
  EXPECT_GT(info.at("file_bytes").get<size_t>(), 1000000u);
  std::vector<std::string> names;
  for (const json& component : info.at("components")) names.push_back(component.at("name"));
  EXPECT_THAT(names, testing::UnorderedElementsAre("text_encoder", "text_encoder_2", "unet", "vae", "vae_tiny"));
}

// libgomp prints the settings with which it was loaded.
TEST(Threads, SpinShortlyUnlessTheUserSaysHow) {
  const char* passive = std::getenv("OMP_WAIT_POLICY");
  unsetenv("OMP_WAIT_POLICY");
  unsetenv("GOMP_SPINCOUNT");
  setenv("OMP_DISPLAY_ENV", "verbose", 1);
  const Ran own = run_tempera({"plan", "--steps", "two words"}), plain = run_tempera({"--version"});
  setenv("GOMP_SPINCOUNT", "7", 1);
  const Ran users = run_tempera({"--version"});
  unsetenv("GOMP_SPINCOUNT");
  unsetenv("OMP_DISPLAY_ENV");
  if (passive != nullptr) setenv("OMP_WAIT_POLICY", passive, 1);

  EXPECT_THAT(plain.err, HasSubstr("GOMP_SPINCOUNT = '2000'"));
  EXPECT_THAT(users.err, HasSubstr("GOMP_SPINCOUNT = '7'"));
  EXPECT_THAT(users.err, Not(HasSubstr("2000")));
  EXPECT_EQ(plain.out, users.out);
  EXPECT_EQ(own.status, 2);
  EXPECT_THAT(own.err, HasSubstr("two words")) << "arguments are as they were given";
}

TEST(Help, IsThereForEveryCommand) {
  for (const char* command : {"generate", "encode", "plan", "info", "convert", "synth"}) {
    const Ran ran = run_tempera({command, "--help"});
    EXPECT_EQ(ran.status, 0);
    EXPECT_THAT(ran.out, HasSubstr("Usage: tempera " + std::string(command)));
    EXPECT_EQ(ran.err, "");
  }
  EXPECT_THAT(run_tempera({"--version"}).out, testing::StartsWith("tempera "));
}

}  // namespace
}  // namespace tempera::test
