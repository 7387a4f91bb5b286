// Whole pictures against diffusers: every text-to-picture case of the reference, from the folder and from the single
// file, in fp32. The program draws them; those that differ in their samplers only are drawn in this process. 8-bit
// values may differ by 0.5 in the mean and by 3 at most.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <utility>

#include "image/picture_file.h"
#include "npy.h"
#include "program.h"
#include "support/reference.h"
#include "tempera/tempera.h"
#include "tiny_model.h"

namespace tempera::test {
namespace {

using nlohmann::json;

constexpr double kMostMean = 0.5;
constexpr int kMostLevels = 3;

struct Case {
  json spec;
  bool single_file = false;
  json scheduler = {};  // a configuration, or none
  bool more = false;    // a case of dev/more, whose expected pictures are in another folder
};

json read_json(const std::filesystem::path& path) {
  std::string text = read_file(path);
  // Python writes a bare word, which is not JSON. A scheduler_config.json may have either form.
  for (size_t at = 0; (at = text.find(": -Infinity", at)) != std::string::npos; ++at)
    text.replace(at, 11, ": \"-Infinity\"");
  return json::parse(text);
}

// The cases of dev/more that concern only samplers.
void add_sampler_cases(std::vector<Case>& cases) {
  const std::filesystem::path more = reference_dir() / "more";
  if (!std::filesystem::exists(more / "cases.json")) return;
  const std::set<std::string> others = {"ays_euler", "ays_dpmpp_2m", "sigmas_euler", "timesteps_own", "ddim_eta",
                                        "turbo",     "turbo_4",      "lightning",    "lcm_original"};
  const json schedulers = read_json(more / "schedulers.json"), parsed = read_json(more / "cases.json");
  for (const json& spec : parsed.at("cases")) {
    if (spec.at("section") != "samplers" && !others.contains(spec.at("name"))) continue;
    const json& scheduler = schedulers.at(spec.at("args").at("scheduler").get<std::string>());
    json config = scheduler.at("config");
    config["_class_name"] = scheduler.at("cls");
    cases.push_back({spec, false, config, true});
  }
}

// The cases of dev/more with adapters, embeddings of words, and pictures that go in.
void add_file_cases(std::vector<Case>& cases) {
  const std::filesystem::path file = reference_dir() / "more/cases.json";
  if (!std::filesystem::exists(file)) return;
  const json parsed = read_json(file);
  for (const json& spec : parsed.at("cases")) {
    const std::string section = spec.at("section");
    if (section == "lora" || section == "textual_inversion" || section == "pictures" ||
        spec.at("name") == "rescale_lora")
      cases.push_back({spec, false, {}, true});
  }
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  if (!has_reference()) return cases;
  std::ifstream file(reference_dir() / "cases.json");
  const json parsed = json::parse(file);
  for (const json& spec : parsed.at("cases")) {
    if (spec.at("args").contains("model")) continue;  // the refiner alone: its folder has no autoencoder
    cases.push_back({spec, false});
    cases.push_back({spec, true});
  }
  add_sampler_cases(cases);
  add_file_cases(cases);
  return cases;
}

// TEMPERA_TEST_DEVICE=cuda draws on a card, without TF32.
std::string device() {
  const char* wanted = std::getenv("TEMPERA_TEST_DEVICE");
  if (wanted == nullptr) return "cpu";
  setenv("NVIDIA_TF32_OVERRIDE", "0", 1);
  return wanted;
}

// The reference has sizes as (height, width) and crops as (top, left), the command line has WxH and X,Y.
std::string as_argument(const std::string& name, const json& value) {
  if (name == "original_size" || name == "target_size") {
    return fmt::format("{}x{}", value.at(1).get<int>(), value.at(0).get<int>());
  }
  constexpr std::array<std::string_view, 7> kFiles = {"init_image", "mask_image",  "tiny_vae", "vae",
                                                      "unet",       "unet_config", "refiner"};
  if (std::ranges::find(kFiles, name) != kFiles.end()) return reference_dir() / value.get<std::string>();
  if (name == "crops_coords_top_left") return fmt::format("{},{}", value.at(1).get<int>(), value.at(0).get<int>());
  if (value.is_array()) {
    const std::string text = value.dump();
    return text.substr(1, text.size() - 2);
  }
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// The reference's configs without its tokenizers: a single file then uses the built-in vocabulary.
std::filesystem::path configs_without_tokenizers() {
  static const TemporaryFolder folder;
  for (const char* part : {"model_index.json", "scheduler", "text_encoder", "text_encoder_2", "unet", "vae"}) {
    const std::filesystem::path from = reference_dir() / "model" / part, to = folder.path() / part;
    if (std::filesystem::exists(to)) continue;
    if (!std::filesystem::is_directory(from)) {
      std::filesystem::copy(from, to);
      continue;
    }
    std::filesystem::create_directory(to);
    for (const auto& file : std::filesystem::directory_iterator(from)) {
      if (file.path().extension() == ".json") std::filesystem::copy(file.path(), to / file.path().filename());
    }
  }
  return folder.path();
}

std::vector<std::string> command(const Case& one, const std::filesystem::path& output) {
  const std::string folder = reference_dir() / "model";
  std::vector<std::string> words = {"generate", "--device", device(), "--dtype", "fp32", "--output", output};
  const auto add = [&words](std::string flag, std::string value) {
    words.push_back(std::move(flag));
    words.push_back(std::move(value));
  };
  if (one.single_file) {
    add("--model", reference_dir() / "model_ldm.safetensors");
    add("--model-config", configs_without_tokenizers());
  } else {
    add("--model", folder);
  }
  add("--seed", one.spec.at("seed").dump());
  add("--images", one.spec.at("images").dump());
  const json& arguments = one.spec.at("args");
  const bool own_levels = arguments.contains("timesteps") || arguments.contains("sigmas");
  for (const auto& [name, value] : arguments.items()) {
    if (value.is_null() || (own_levels && name == "steps")) continue;
    if (name == "textual_inversion" || name == "lora") {  // [file, word or weight]
      for (const json& pair : value)
        add(name == "lora" ? "--lora" : "--textual-inversion",
            fmt::format("{}:{}", (reference_dir() / pair.at(0).get<std::string>()).string(),
                        as_argument("", pair.at(1))));
      continue;
    }
    if (name == "scheduler" && !one.scheduler.is_null()) {
      const std::filesystem::path file = output.parent_path() / "scheduler_config.json";
      std::ofstream(file) << one.scheduler.dump();
      add("--scheduler-config", file);
      continue;
    }
    std::string flag = name == "tile_sample_min_size" ? "--vae-tile-size" : "--" + name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    if (value.is_boolean()) {
      words.push_back(flag);  // a switch
    } else if (name == "init_image" && value.is_array()) {
      for (const json& file : value) add(flag, as_argument(name, file));
    } else {
      add(flag, as_argument(name, value));
    }
  }
  return words;
}

// The pictures of these words of the command line, drawn in this process: one model for all cases that differ in their
// samplers only.
std::vector<Image8> drawn_here(const std::vector<std::string>& words, std::map<std::string, Pipeline>& pipelines) {
  Request request;
  EngineOptions engine;
  std::string model;  // the engine's options
  for (size_t i = 1; i < words.size(); ++i) {
    const std::span<const Field> fields = request_fields();
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.flag == words[i]; });
    if (field == fields.end()) {
      ++i;  // --output
      continue;
    }
    const std::string value = field->placeholder.empty() ? "true" : words[++i];
    field->set(request, engine, value);
    if (field->group == FieldGroup::engine) model += fmt::format("{} {}\n", field->flag, value);
  }
  auto at = pipelines.find(model);
  if (at == pipelines.end()) at = pipelines.emplace(model, Pipeline(engine)).first;
  std::vector<Image8> pictures;
  for (Image& image : at->second.generate(request).images)
    pictures.push_back({image.width, image.height, std::move(image.rgb)});
  return pictures;
}

// The same by the program.
std::vector<Image8> drawn_by_program(const std::vector<std::string>& words, const std::filesystem::path& folder,
                                     int images) {
  const Ran ran = run_tempera(words);
  if (ran.status != 0) throw std::runtime_error(ran.err);
  std::vector<Image8> pictures;
  for (int index = 0; index < images; ++index) {
    const std::string file = index == 0 ? "a.png" : fmt::format("a-{}.png", index);
    const std::string png = read_file(folder / file);
    pictures.push_back(read_picture(std::as_bytes(std::span(png)), file).image);
  }
  return pictures;
}

struct Difference {
  double mean = 0;
  int largest = 0;
};

Difference difference(const Image8& image, const Npy& expected) {
  double sum = 0;
  int largest = 0;
  for (size_t i = 0; i < image.rgb.size(); ++i) {
    const int levels =
        std::abs(static_cast<int>(image.rgb[i]) - static_cast<int>(std::lround(expected.values[i] * 255)));
    sum += levels;
    largest = std::max(largest, levels);
  }
  return {sum / static_cast<double>(image.rgb.size()), largest};
}

class Diffusers : public testing::TestWithParam<Case> {
 protected:
  static void TearDownTestSuite() { pipelines_.clear(); }  // before the libraries of a card are unloaded

  inline static std::map<std::string, Pipeline> pipelines_;  // by the options of their engines
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Diffusers);

TEST_P(Diffusers, DrawsTheSamePicture) {
  const Case& one = GetParam();
  const std::string name = one.spec.at("name");
  const TemporaryFolder folder;
  const std::vector<std::string> words = command(one, folder.path() / "a.png");
  const int images = one.spec.at("images").get<int>();
  const std::vector<Image8> pictures =
      one.more ? drawn_here(words, pipelines_) : drawn_by_program(words, folder.path(), images);
  ASSERT_EQ(pictures.size(), static_cast<size_t>(images));
  for (int index = 0; index < images; ++index) {
    const Image8& image = pictures[static_cast<size_t>(index)];
    const Npy expected =
        read_npy(reference_dir() / (one.more ? "more/expected" : "expected") / fmt::format("{}.{}.npy", name, index));
    ASSERT_EQ(expected.shape, (std::vector<int64_t>{image.height, image.width, 3}));
    const Difference found = difference(image, expected);
    fmt::print("{:<26} {} {:<6} mean {:.4f}, largest {}\n", name, index, one.single_file ? "file" : "folder",
               found.mean, found.largest);
    EXPECT_LE(found.mean, kMostMean);
    EXPECT_LE(found.largest, kMostLevels);
  }
}

std::string name_of_case(const testing::TestParamInfo<Case>& one) {
  return one.param.spec.at("name").get<std::string>() + (one.param.single_file ? "_file" : "_folder");
}
INSTANTIATE_TEST_SUITE_P(Reference, Diffusers, testing::ValuesIn(all_cases()), name_of_case);

TEST(DiffusersReference, HasTheCases) {
  if (!has_reference()) GTEST_SKIP() << "no reference beside the repository";
  EXPECT_GE(all_cases().size(), 2 * 28u);
}

}  // namespace
}  // namespace tempera::test
