// Mistakes of the user and errors of the system: one sentence that names the thing, the right exit status, and no files
// left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "program.h"
#include "tiny_model.h"

namespace tempera::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

constexpr int kFailure = 1, kMistake = 2;

// Runs the program. Expects one line of error with every one of `words`, `status`, and no file.
void expect_error(const std::vector<std::string>& arguments, int status, const std::vector<std::string>& words,
                  Surroundings surroundings = {}) {
  const TemporaryFolder folder;
  surroundings.folder = folder.path();
  const Ran ran = run_tempera(arguments, surroundings);
  EXPECT_EQ(ran.status, status) << ran.err;
  EXPECT_THAT(ran.err, testing::StartsWith("tempera: error: "));
  EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
  for (const std::string& word : words) EXPECT_THAT(ran.err, HasSubstr(word));
  EXPECT_THAT(folder.names(), IsEmpty());
}

// The tiny model, with another path or file in its place.
std::vector<std::string> generate_from(const fs::path& model) {
  return generate_arguments({"--model", model});
}

class Mistakes : public testing::Test {
 protected:
  // A copy of the tiny folder, for changes.
  fs::path copy_of_folder() {
    fs::path copy = scratch_.path() / "model";
    fs::copy(tiny_folder(), copy, fs::copy_options::recursive);
    return copy;
  }
  fs::path file_of(const std::string& name, const std::string& bytes) {
    fs::path path = scratch_.path() / name;
    write_file(path, bytes);
    return path;
  }
  TemporaryFolder scratch_;
};

TEST_F(Mistakes, OnTheCommandLine) {
  expect_error({}, kMistake, {"no command", "--help"});
  expect_error({"genrate"}, kMistake, {"'genrate'", "generate"});
  expect_error({"generate", "x", "--stesp", "4"}, kMistake, {"--stesp", "did you mean --steps?"});
  expect_error({"generate", "x", "--steps"}, kMistake, {"--steps needs a value"});
  expect_error({"generate", "a", "red", "apple"}, kMistake, {"'red'", "quotes"});
  expect_error(generate_arguments({"--width", "1001"}), kMistake, {"--width", "1001", "divisible by 8"});
  expect_error(generate_arguments({"--steps", "0"}), kMistake, {"--steps", "'0'"});
  expect_error(generate_arguments({"--seed", "-1"}), kMistake, {"--seed", "'-1'"});
  expect_error(generate_arguments({"--guidance-scale", "nan"}), kMistake, {"--guidance-scale", "'nan'"});
  expect_error(generate_arguments({"--scheduler", "euler_b"}), kMistake, {"euler_b", "nearest (euler, "});
  expect_error(generate_arguments({"--scheduler", "euler", "--schedule", "karass"}), kMistake, {"karass", "(karras, "});
  expect_error(generate_arguments({"--scheduler", "ddim", "--schedule", "karras"}), kMistake,
               {"reads no --schedule 'karras': leave it out"});
  expect_error(generate_arguments({"--timesteps", "9,x"}), kMistake, {"--timesteps is '9,x'", "between commas"});
  expect_error(generate_arguments({"--sigmas", "9,,0"}), kMistake, {"--sigmas is '9,,0'", "between commas"});
  expect_error(generate_arguments({"--eta", "2"}), kMistake, {"--eta is '2'", "0 to 1"});
  expect_error(generate_arguments({"--clip-skip", "60"}), kMistake, {"clip"});
  expect_error(generate_arguments({"--output", "a.gif"}), kMistake, {"--output", "a.gif", ".png"});
  expect_error(generate_arguments({"--output", "a-{sed}.png"}), kMistake, {"{sed}", "{seed}"});
  expect_error(generate_arguments({"--output", "missing/a.png"}), kMistake, {"'missing'", "create it"});
  expect_error({"generate", "--model", tiny_folder()}, kMistake, {"no prompt"});
  expect_error(generate_arguments({"--memory-budget", "6XB"}), kMistake, {"--memory-budget is '6XB'", "6GiB"});
  expect_error(generate_arguments({"--memory-budget", "0GiB"}), kMistake, {"--memory-budget is '0GiB'"});
  expect_error(generate_arguments({"--memory-budget", "120%"}), kMistake, {"--memory-budget is '120%'"});
  expect_error(generate_arguments({"--memory-budget", "1GiB", "--offload", "model"}), kMistake,
               {"--memory-budget", "leave out --offload model"});
  expect_error(generate_arguments({"--pinned-memory", "much"}), kMistake, {"--pinned-memory is 'much'", "6GiB"});
  expect_error({"plan", "--preset", "tiny", "--pinned-memory", "much"}, kMistake, {"--pinned-memory is 'much'"});
  expect_error(generate_arguments({"--offload", "sideways"}), kMistake, {"'sideways'", "sequential"});
  expect_error(generate_arguments({"--memory-budget", "1MiB"}), kFailure, {"nothing fits into 1 MiB", "streamed"});
  expect_error({"plan", "--preset", "sdxl-bas"}, kMistake, {"sdxl-bas", "sdxl-base"});
}

// Names of fields become options, but not in the text of the user.
TEST_F(Mistakes, NameOptionsAndLeaveTextAlone) {
  expect_error(generate_arguments({"--memory-budget", "memory_budget"}), kMistake,
               {"error: --memory-budget is 'memory_budget': give"});
  expect_error(generate_arguments({"--width", "width --width"}), kMistake, {"error: --width is 'width --width': give"});
  expect_error(generate_from("no/model_config"), kMistake, {"there is no model 'no/model_config'"});
  expect_error(generate_arguments({"--tokenizer", "tokenizer"}), kMistake,
               {"'tokenizer' is no folder: give --tokenizer one"});
  expect_error(generate_arguments({"--scheduler", "euler", "--scheduler-config", "x"}), kMistake,
               {"--scheduler and --scheduler-config are both given"});
  expect_error(generate_arguments({"--steps", "2", "--denoising-end", "1e-9"}), kMistake,
               {"--denoising-end 1e-09 leaves no step", "a larger --steps"});
  expect_error({"generate", "x", "--model", tiny_folder(), "--scheduler", "euler_a", "--timesteps", "9"}, kMistake,
               {"does not read --timesteps: leave --timesteps out"});
  expect_error(generate_arguments({"--steps", "3", "--scheduler", "euler", "--timesteps", "9,1"}), kMistake,
               {"--steps is 3, but --timesteps is for 2 steps: leave --steps out"});
  expect_error({"bench", "ops", "--preset", "tiny", "--component", "component"}, kMistake,
               {"error: --component is 'component': give one of"});
  const Ran ran = run_tempera(generate_arguments({"--json", "--memory-budget", "much"}));
  EXPECT_THAT(nlohmann::json::parse(ran.out).at("error").at("message").get<std::string>(),
              testing::StartsWith("--memory-budget is 'much'"));
}

TEST_F(Mistakes, AboutTheDecoder) {
  expect_error(generate_arguments({"--vae-tile-size", "100"}), kMistake, {"--vae-tile-size", "100", "divisible by 32"});
  expect_error(generate_arguments({"--vae-tile-size", "0"}), kMistake, {"--vae-tile-size", "'0'"});
  expect_error(generate_arguments({"--tiny-vae", "model", "--vae-tile-size", "96"}), kMistake, {"divisible by 64"});
  expect_error(generate_arguments({"--tiny-vae", "no/such/vae"}), kMistake, {"no/such/vae"});
  expect_error(generate_arguments({"--tiny-vae", tiny_folder()}), kMistake, {"config.json"});
  expect_error(generate_arguments({"--tiny-vae", tiny_folder() / "vae"}), kMistake, {"AutoencoderTiny"});
  expect_error(generate_arguments({"--tiny-vae", tiny_folder() / "vae/diffusion_pytorch_model.safetensors"}), kMistake,
               {"AutoencoderTiny"});
  expect_error(generate_arguments({"--tiny-vae", file_of("taesd.pth", "\x80\x02}q\x01.")}), kMistake,
               {"taesd.pth", "pickle"});
  expect_error(
      generate_arguments({"--model", tiny_single_file(), "--model-config", tiny_folder(), "--tiny-vae", "model"}),
      kMistake, {"--tiny-vae", "vae_tiny"});
  const fs::path weights = scratch_.path() / "short.safetensors";
  fs::copy_file(tiny_folder() / "vae_tiny/diffusion_pytorch_model.safetensors", weights);
  fs::resize_file(weights, fs::file_size(weights) / 2);
  expect_error(generate_arguments({"--tiny-vae", weights}), kMistake, {"short.safetensors", "truncated"});
}

TEST_F(Mistakes, AboutAnotherAutoencoder) {
  expect_error(generate_arguments({"--vae", "no/such/vae"}), kMistake, {"there is no VAE 'no/such/vae'", "give --vae"});
  expect_error(generate_arguments({"--vae", tiny_folder() / "vae_tiny/diffusion_pytorch_model.safetensors"}), kMistake,
               {"is a tiny autoencoder: give it as --tiny-vae"});
  expect_error(generate_arguments({"--vae", tiny_folder() / "text_encoder/model.safetensors"}), kMistake,
               {"has no VAE", "a text encoder"});
  const fs::path model = copy_of_folder();
  fs::remove_all(model / "vae");
  expect_error(generate_from(model), kMistake, {"has no VAE: give --vae one for SDXL"});
  expect_error({"plan", "--model", model}, kMistake, {"has no VAE: give --vae one for SDXL"});
  EXPECT_EQ(run_tempera({"info", model}).status, 0);
}

TEST_F(Mistakes, InMeasuring) {
  expect_error({"bench"}, kMistake, {"no command", "tempera bench --help"});
  expect_error({"bench", "opps"}, kMistake, {"'opps'", "did you mean ops?", "tempera bench --help"});
  expect_error({"bench", "ops", "--repaets", "3"}, kMistake, {"did you mean --repeats?", "tempera bench ops --help"});
  expect_error({"bench", "ops", "--preset", "tyni"}, kMistake, {"tyni", "tiny"});
  expect_error({"bench", "ops", "--preset", "tiny", "--model", "x"}, kMistake, {"--preset", "--model", "one of them"});
  expect_error({"bench", "ops", "--preset", "tiny", "--component", "vae"}, kMistake, {"'vae'", "vae_decoder"});
  expect_error({"bench", "ops", "--preset", "tiny", "--repeats", "0"}, kMistake, {"--repeats", "0", "1000"});
  expect_error({"bench", "ops", "--preset", "tiny", "--repeats", "few"}, kMistake, {"--repeats", "few"});
  expect_error({"bench", "ops", "--preset", "tiny", "--json", "more"}, kMistake, {"'more'"});
  expect_error({"bench", "trace", "--output", "missing/a.json"}, kMistake, {"'missing'", "create it"});
  expect_error({"bench", "trace", "--output", "."}, kMistake, {"'.'", "is a folder"});
  expect_error({"bench", "trace", "--preset", "tiny"}, kMistake, {"--preset"});
  expect_error({"bench", "trace", "--model", "no/such/model"}, kMistake, {"no/such/model"});
  Surroundings full;
  full.file_size_limit = 2000;
  std::vector<std::string> trace = generate_arguments({"--output", "t.json"});
  trace[0] = "trace";
  trace.insert(trace.begin(), "bench");
  expect_error(trace, kFailure, {"t.json"}, full);
}

TEST_F(Mistakes, AreObjectsForMachines) {
  const Ran ran = run_tempera(generate_arguments({"--json", "--width", "1001"}));
  EXPECT_EQ(ran.status, kMistake);
  const auto error = nlohmann::json::parse(ran.out).at("error");
  EXPECT_EQ(error.at("code"), "invalid_argument");
  EXPECT_THAT(ran.err, HasSubstr(error.at("message").get<std::string>()));
}

TEST_F(Mistakes, MissingModel) {
  expect_error(generate_from("no/such/model"), kMistake, {"no/such/model"});
  expect_error(generate_from("no/such/model.safetensors"), kMistake, {"no/such/model.safetensors"});
  expect_error({"info", "no/such/model"}, kMistake, {"no/such/model"});
  fs::create_directory(scratch_.path() / "empty");
  expect_error(generate_from(scratch_.path() / "empty"), kMistake, {"empty", "model_index.json"});
}

TEST_F(Mistakes, MissingFileOfAModel) {
  const fs::path model = copy_of_folder();
  fs::remove(model / "unet" / "diffusion_pytorch_model.safetensors");
  expect_error(generate_from(model), kMistake, {"unet"});
}

TEST_F(Mistakes, TruncatedFile) {
  const fs::path model = copy_of_folder();
  const fs::path weights = model / "unet" / "diffusion_pytorch_model.safetensors";
  fs::resize_file(weights, fs::file_size(weights) / 2);
  expect_error(generate_from(model), kMistake, {"diffusion_pytorch_model.safetensors", "truncated"});
  fs::resize_file(weights, 100);
  expect_error(generate_from(model), kMistake, {"diffusion_pytorch_model.safetensors"});
  fs::resize_file(weights, 0);
  expect_error(generate_from(model), kMistake, {"diffusion_pytorch_model.safetensors"});
}

TEST_F(Mistakes, WrongShape) {
  const fs::path model = copy_of_folder();
  const fs::path weights = model / "unet" / "diffusion_pytorch_model.safetensors";
  std::string bytes = read_file(weights);
  const size_t tensor = bytes.find("\"conv_in.weight\"");
  const size_t shape = bytes.find("[32,4,3,3]", tensor);
  ASSERT_NE(shape, std::string::npos);
  bytes.replace(shape, 10, "[4,32,3,3]");
  write_file(weights, bytes);
  expect_error(generate_from(model), kMistake, {"conv_in.weight", "32", "4"});
}

TEST_F(Mistakes, BrokenConfig) {
  const fs::path model = copy_of_folder();
  write_file(model / "unet" / "config.json", "{\"block_out_channels\": [320, ");
  expect_error(generate_from(model), kMistake, {"config.json", "JSON"});
}

// A type that cannot be a weight. It replaces f16, because it has the same size.
TEST_F(Mistakes, WeightsOfATypeThatIsNotKnown) {
  const fs::path model = scratch_.path() / "synthetic";
  ASSERT_EQ(run_tempera({"synth", "--preset", "tiny", "--dtype", "fp16", model}).status, 0);
  const fs::path weights = model / "unet" / "diffusion_pytorch_model.safetensors";
  std::string bytes = read_file(weights);
  const std::string half = "\"F16\"";
  for (size_t at = bytes.find(half); at != std::string::npos; at = bytes.find(half, at))
    bytes.replace(at, 5, "\"I16\"");
  write_file(weights, bytes);
  expect_error(generate_from(model), kMistake, {"diffusion_pytorch_model.safetensors", "i16", "float16"});
}

TEST_F(Mistakes, Pickle) {
  expect_error(generate_from(file_of("model.ckpt", "\x80\x02}q\x01.")), kMistake, {"model.ckpt", "pickle"});
  expect_error(generate_from(file_of("zip.safetensors", std::string("PK\x03\x04\0\0\0\0", 8))), kMistake,
               {"zip.safetensors"});
  const fs::path model = copy_of_folder();
  fs::rename(model / "unet" / "diffusion_pytorch_model.safetensors", model / "unet" / "diffusion_pytorch_model.bin");
  expect_error(generate_from(model), kMistake, {"unet", "safetensors"});
}

TEST_F(Mistakes, UnsupportedModel) {
  const std::string header = R"({"lora_unet_x.lora_up.weight":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  expect_error(generate_from(file_of("lora.safetensors", bytes + header + "ab")), kMistake, {"lora.safetensors"});
  const fs::path model = copy_of_folder();
  std::string index = read_file(model / "model_index.json");
  const size_t name = index.find("StableDiffusionXLPipeline");
  ASSERT_NE(name, std::string::npos);
  write_file(model / "model_index.json", index.replace(name, 25, "FluxPipeline"));
  expect_error(generate_from(model), kMistake, {"FluxPipeline"});
}

TEST_F(Mistakes, UnetThatDoesNotFit) {
  expect_error(generate_arguments({"--unet", "nowhere.gguf"}), kMistake, {"nowhere.gguf", "--unet"});
  const fs::path config = copy_of_folder() / "unet" / "config.json";
  std::string text = read_file(config);
  const std::string width = "\"cross_attention_dim\": 96";
  const size_t at = text.find(width);
  ASSERT_NE(at, std::string::npos);
  write_file(config, text.replace(at, width.size(), "\"cross_attention_dim\": 80"));
  expect_error(generate_arguments({"--unet", tiny_folder() / "unet", "--unet-config", config}), kMistake,
               {"attn2.to_k.weight", "96", "80", "--unet-config"});
}

TEST_F(Mistakes, NoSuchDevice) {
  if (fs::exists("/dev/nvidia0")) GTEST_SKIP() << "there is one";
  expect_error(generate_arguments({"--device", "cuda"}), kMistake, {"cuda"});
}

TEST_F(Mistakes, ExistingModelIsNotOverwritten) {
  const std::string before = read_file(tiny_folder() / "model_index.json");
  expect_error({"synth", "--preset", "tiny", tiny_folder()}, kMistake, {tiny_folder(), "exists"});
  EXPECT_EQ(read_file(tiny_folder() / "model_index.json"), before);
}

TEST_F(Mistakes, Conversion) {
  expect_error({"convert", tiny_folder()}, kMistake, {"an output is missing", "tempera convert"});
  expect_error({"convert", "nowhere", "m"}, kMistake, {"nowhere"});
  expect_error({"convert", tiny_folder(), "m.ckpt"}, kMistake, {"'m.ckpt'", ".safetensors"});
  expect_error({"convert", tiny_folder(), "m", "--dtype", "q8_0"}, kMistake, {"--dtype is 'q8_0'", ".gguf"});
  expect_error({"convert", tiny_folder(), "m.gguf", "--dtype", "fp8"}, kMistake, {"--dtype is 'fp8'"});
  expect_error({"convert", tiny_folder(), "m", "--dtype", "fp12"}, kMistake, {"--dtype is 'fp12'", "bf16"});
  expect_error({"convert", tiny_folder(), "missing/m"}, kFailure, {"'missing'", "create it"});
  expect_error({"convert", tiny_folder(), "m", "--stesp", "4"}, kMistake, {"--stesp"});
  expect_error({"convert", file_of("model.ckpt", "\x80\x02}q\x01."), "m"}, kMistake, {"model.ckpt", "pickle"});
  const fs::path there = file_of("there.gguf", "");
  expect_error({"convert", tiny_folder(), there}, kMistake, {there, "exists"});
  expect_error({"convert", tiny_folder(), tiny_folder()}, kMistake, {tiny_folder(), "exists"});
}

TEST_F(Mistakes, FullDisk) {
  Surroundings full;
  full.file_size_limit = 2000;
  expect_error(generate_arguments({"--output", "a.png"}), kFailure, {"a.png"}, full);
  expect_error(generate_arguments({}), kFailure, {"tempera-7.png"}, full);
  full.file_size_limit = 1 << 20;
  expect_error({"synth", "--preset", "tiny", "model"}, kFailure, {"model"}, full);
  expect_error({"synth", "--preset", "tiny", "model.safetensors"}, kFailure, {"model.safetensors"}, full);
  expect_error({"convert", tiny_folder(), "model"}, kFailure, {"'model/"}, full);
  expect_error({"convert", tiny_folder(), "model.gguf"}, kFailure, {"'model.gguf'"}, full);
}

TEST_F(Mistakes, StandardOutputThatTakesNothing) {
  Surroundings full;
  full.out_file = "/dev/full";
  expect_error({"plan", "--preset", "sdxl-base"}, kFailure, {"standard output"}, full);
  expect_error({"info", tiny_folder()}, kFailure, {"standard output"}, full);
}

TEST_F(Mistakes, PictureIsSavedThoughItsNameCannotBeSaid) {
  const TemporaryFolder folder;
  Surroundings full;
  full.folder = folder.path();
  full.out_file = "/dev/full";
  const Ran ran = run_tempera(generate_arguments({}), full);
  EXPECT_EQ(ran.status, kFailure);
  EXPECT_THAT(folder.names(), testing::ElementsAre("tempera-7.png"));
}

}  // namespace
}  // namespace tempera::test
