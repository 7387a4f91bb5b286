// Quantised files as models: whole checkpoints as stable-diffusion.cpp writes them, UNets as ComfyUI-GGUF writes them,
// and every value of the reference files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "source/model_source.h"
#include "source/test_models.h"
#include "source/unet_source.h"
#include "support/test_files.h"
#include "weights/block_types.h"
#include "weights/gguf_writer.h"
#include "weights/safetensors.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kReference = fs::path(TEMPERA_REFERENCE) / "dev" / "more";

// As stable-diffusion.cpp does: what has whole blocks in the type, the rest in f16; proj_in and proj_out as 1x1
// convolutions.
std::vector<GgufSpec> as_gguf(const Tensors& tensors, const BlockType& type) {
  std::vector<GgufSpec> specs;
  for (const TensorSpec& tensor : tensors) {
    GgufSpec spec{tensor.name, DType::f16, tensor.dims};
    if (spec.dims.empty()) spec.dims = {1};
    if (tensor.name.ends_with("proj_in.weight") || tensor.name.ends_with("proj_out.weight"))
      if (spec.dims.size() == 2) spec.dims.insert(spec.dims.end(), 2, 1);
    if (spec.dims.size() > 1 && spec.dims.back() % static_cast<int64_t>(type.elements) == 0) spec.blocks = &type;
    specs.push_back(std::move(spec));
  }
  return specs;
}

void write_gguf(const fs::path& path, const std::vector<GgufSpec>& specs) {
  GgufWriter writer(path, specs);
  for (const GgufSpec& spec : specs) writer.append(std::vector<std::byte>(spec.bytes()));
  writer.commit();
}

TEST(GgufModel, WholeCheckpoint) {
  const TemporaryFolder folder;
  const ModelConfig config = small_model();
  write_gguf(folder / "m.gguf", as_gguf(single_file_tensors(config), block_type("Q4_0")));
  ModelSource source = open_model(folder / "m.gguf");
  source.config.unet.use_linear_projection = true;  // of the way in which matrices are stored alone
  EXPECT_EQ(source.config, config);
  const ComponentSource& unet = source.component("unet");
  EXPECT_GT(unet.parameters_by_type.at("Q4_0"), unet.parameters / 4);
  EXPECT_LT(unet.bytes, 2u * static_cast<uint64_t>(unet.parameters));
  EXPECT_EQ(unet.weights->get("mid_block.attentions.0.proj_in.weight").dims, (std::vector<int64_t>{128, 128}));
  EXPECT_EQ(open_unet({.unet = folder / "m.gguf"}, config).component.weights->names(), unet.weights->names());
}

struct Reference : testing::TestWithParam<const char*> {
  void SetUp() override {
    if (!fs::exists(kReference)) GTEST_SKIP() << "no reference data next to the repository";
  }
};

// The numbers that PyTorch has for the same file: their number, sum and sum of magnitudes, and two whole tensors.
TEST_P(Reference, EveryValueOfTheFile) {
  const std::string name = GetParam();
  const auto file = open_tensor_file(kReference / "quantised" / ("unet_" + name));
  std::ifstream text(kReference / "quantised/sums.json");
  const json expected = json::parse(text).at(name);
  double sum = 0, magnitudes = 0;
  for (const std::string& tensor : file->names())
    for (const float value : file->get(tensor).floats()) {
      sum += value;
      magnitudes += std::abs(value);
    }
  EXPECT_EQ(file->names().size(), expected.at("tensors").get<size_t>());
  EXPECT_NEAR(sum, expected.at("sum").get<double>(), 1e-6 * magnitudes);
  EXPECT_NEAR(magnitudes, expected.at("sum_abs").get<double>(), 1e-6 * magnitudes);

  const SafetensorsFile parts(kReference / "parts_quantised.safetensors");
  int compared = 0;
  for (const std::string& part : parts.names()) {
    if (!part.starts_with(name + ":")) continue;
    const std::string tensor = part.substr(name.size() + 1);
    const auto prefixed = file->find("model.diffusion_model." + tensor);
    const CheckpointTensor read = prefixed ? *prefixed : file->get(tensor);
    EXPECT_EQ(read.dims, parts.get(part).dims) << tensor;
    const std::vector<float> values = read.floats(), wanted = parts.get(part).floats();
    ASSERT_EQ(values.size(), wanted.size());
    for (size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], wanted[i], 1e-6f * std::abs(wanted[i])) << i;
    ++compared;
  }
  EXPECT_EQ(compared, 2);
}

// The same model in each of the files.
TEST_P(Reference, IsTheUnetOfItsFolder) {
  ModelConfig model = preset("tiny");
  model.unet.down.clear();
  const UnetReplacement folder = open_unet({.unet = kReference / "quantised/unet"}, model);
  const UnetReplacement file = open_unet({.unet = kReference / "quantised" / (std::string("unet_") + GetParam()),
                                          .unet_config = kReference / "quantised/unet"},
                                         model);
  EXPECT_EQ(file.config, folder.config);
  EXPECT_EQ(file.component.weights->names(), folder.component.weights->names());
}

INSTANTIATE_TEST_SUITE_P(Quantised, Reference,
                         testing::Values("fp8.safetensors", "fp8_scaled.safetensors", "mixed.safetensors", "f16.gguf",
                                         "q8_0.gguf", "q4_K.gguf", "q5_1.gguf", "q4_0.gguf", "mixed.gguf"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace tempera
