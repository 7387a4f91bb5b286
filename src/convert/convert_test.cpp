// There and back between folders, single files and GGUF: equal tensors, bit for bit, and equal configurations. Other
// types against their formulas, the marks of the sampling, components alone, and processes that are killed.
#include "tempera/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/half.h"
#include "base/json.h"
#include "convert/layout.h"
#include "convert/tensor_writer.h"
#include "models/config_writer.h"
#include "source/default_model.h"
#include "source/marks.h"
#include "source/model_source.h"
#include "source/tiny_vae.h"
#include "source/unet_source.h"
#include "source/vae_file.h"
#include "support/test_files.h"
#include "tempera/tempera.h"
#include "weights/block_encoders.h"
#include "weights/block_types.h"
#include "weights/made.h"
#include "weights/safetensors.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

void expect_equal_tensors(const Checkpoint& a, const Checkpoint& b) {
  ASSERT_EQ(a.names(), b.names());
  for (const std::string& name : a.names()) {
    const CheckpointTensor x = a.get(name), y = b.get(name);
    ASSERT_EQ(x.dims, y.dims) << name;
    ASSERT_EQ(x.stored_type(), y.stored_type()) << name;
    ASSERT_TRUE(stored_bytes(x) == stored_bytes(y)) << name;
  }
}

void expect_equal_models(const ModelSource& a, const ModelSource& b) {
  EXPECT_EQ(a.config, b.config);
  EXPECT_EQ(a.defaults.num_inference_steps, b.defaults.num_inference_steps);
  EXPECT_EQ(a.defaults.guidance_scale, b.defaults.guidance_scale);
  ASSERT_EQ(a.components.size(), b.components.size());
  for (const auto& [name, part] : a.components) expect_equal_tensors(*part.weights, *b.component(name).weights);
}

// Of a tensor of another file: its values as floats.
void expect_values(const CheckpointTensor& tensor, const std::vector<float>& expected, const std::string& name) {
  ASSERT_TRUE(tensor.floats() == expected) << name;
}

class Convert : public testing::Test {
 protected:
  // Written once for all tests.
  // A single file shows everything of this one, since it has SDXL's sizes of pictures.
  static const fs::path& small_folder() { return with_usual_sizes(synthesised("small", "fp16")); }
  static const fs::path& tiny_folder() { return synthesised("tiny", "fp16"); }
  static const fs::path& with_usual_sizes(const fs::path& model) {
    for (const auto& [component, size] : {std::pair("unet", 128), std::pair("vae", 1024)}) {
      const fs::path file = model / component / "config.json";
      auto config = nlohmann::ordered_json::parse(read_text_file(file, 1 << 20));
      if (config["sample_size"] == size) continue;
      config["sample_size"] = size;
      write_file(file, config.dump(2) + "\n");
    }
    return model;
  }
  static const fs::path& synthesised(const std::string& preset, const std::string& dtype) {
    static TemporaryFolder folder;
    static std::map<std::string, fs::path> paths;
    const auto [at, is_new] = paths.emplace(preset + dtype, folder / (preset + dtype));
    if (is_new) synth({.preset = preset, .dtype = dtype, .seed = 3}, at->second);
    return at->second;
  }

  fs::path converted(const fs::path& in, const std::string& out, const std::string& dtype = "",
                     EngineOptions engine = {}) {
    engine.model = in.string();
    ConvertCallbacks callbacks;
    callbacks.log = [this](LogLevel, std::string_view text) { warnings_.emplace_back(text); };
    convert(engine, {.dtype = dtype}, folder_ / out, callbacks);
    return folder_ / out;
  }

  std::string problem(const fs::path& in, const std::string& out, const std::string& dtype = "") {
    const std::vector<std::string> before = folder_.names();
    try {
      converted(in, out, dtype);
    } catch (const Error& error) {
      EXPECT_EQ(folder_.names(), before);
      return error.what();
    }
    return "";
  }

  TemporaryFolder folder_;
  std::vector<std::string> warnings_;
};

TEST_F(Convert, FolderAndSingleFileThereAndBack) {
  const fs::path file = converted(small_folder(), "m.safetensors");
  const fs::path back = converted(file, "back");
  expect_equal_models(open_model(small_folder()), open_model(file));
  expect_equal_models(open_model(small_folder()), open_model(back));
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("cannot hold the tokenizers, the tiny autoencoder")));
  // All files of the folder but those that the single file cannot hold.
  for (const char* name :
       {"unet/config.json", "vae/config.json", "text_encoder/config.json", "text_encoder_2/config.json"})
    EXPECT_EQ(read_text_file(back / name, 1 << 20), read_text_file(small_folder() / name, 1 << 20)) << name;
  // And from the file to the same file.
  const fs::path again = converted(back, "again.safetensors");
  expect_equal_tensors(SafetensorsFile(file), SafetensorsFile(again));
  EXPECT_EQ(SafetensorsFile(file).metadata(), SafetensorsFile(again).metadata());
}

TEST_F(Convert, GgufThereAndBack) {
  const fs::path gguf = converted(small_folder(), "m.gguf");
  expect_equal_models(open_model(small_folder()), open_model(gguf));
  expect_equal_models(open_model(small_folder()), open_model(converted(gguf, "back")));
  const fs::path file = converted(gguf, "m.safetensors");
  expect_equal_tensors(*open_tensor_file(gguf), *open_tensor_file(file));
  expect_equal_tensors(*open_tensor_file(gguf), *open_tensor_file(converted(file, "again.gguf")));
}

TEST_F(Convert, AFolderKeepsEverything) {
  const fs::path copy = converted(tiny_folder(), "copy");
  expect_equal_models(open_model(tiny_folder()), open_model(copy));
  for (const char* name : {"tokenizer/vocab.json", "tokenizer_2/tokenizer_config.json", "model_index.json",
                           "scheduler/scheduler_config.json", "vae_tiny/config.json"})
    EXPECT_EQ(read_text_file(copy / name, 1 << 24), read_text_file(tiny_folder() / name, 1 << 24)) << name;
  const auto tiny = open_own_tiny_vae(copy, preset("tiny").vae);
  expect_equal_tensors(*tiny->component.weights,
                       *open_own_tiny_vae(tiny_folder(), preset("tiny").vae)->component.weights);
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(Convert, TheModelThatComesWithTempera) {
  const fs::path file = converted({}, "emoji.safetensors");
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("cannot hold the configuration")));
  EngineOptions engine;
  engine.model_config = default_model().string();
  expect_equal_models(open_model(default_model()), open_model(converted(default_model(), "emoji")));
  for (const fs::path& in : {file, converted({}, "emoji.gguf")}) {
    ModelSource back = open_model(converted(in, in.extension().string().substr(1), "", engine));
    back.defaults = open_model(default_model()).defaults;  // single files have none
    expect_equal_models(open_model(default_model()), back);
  }
}

TEST_F(Convert, PlainTypes) {
  const ModelSource source = open_model(small_folder());
  for (const auto& [dtype, type] : {std::pair("fp32", DType::f32), std::pair("bf16", DType::bf16)}) {
    const ModelSource read = open_model(converted(small_folder(), dtype, dtype));
    for (const auto& [name, part] : source.components)
      for (const std::string& tensor : part.weights->names()) {
        std::vector<float> expected = part.weights->get(tensor).floats();
        if (type == DType::bf16)
          for (float& x : expected) x = to_float(to_bf16(x));
        const CheckpointTensor written = read.component(name).weights->get(tensor);
        ASSERT_EQ(written.dtype, type);
        expect_values(written, expected, tensor);
      }
  }
}

// float8_e4m3fn for the matrices and convolutions of the UNet, half precision for the rest.
TEST_F(Convert, Fp8) {
  const fs::path& fp32 = synthesised("small", "fp32");
  const ModelSource source = open_model(fp32), read = open_model(converted(fp32, "fp8.safetensors", "fp8"));
  size_t eight_bits = 0;
  for (const auto& [name, part] : source.components)
    for (const std::string& tensor : part.weights->names()) {
      const CheckpointTensor from = part.weights->get(tensor), to = read.component(name).weights->get(tensor);
      std::vector<float> expected = from.floats();
      const bool is_fp8 = name == "unet" && from.dims.size() >= 2;
      eight_bits += is_fp8 ? 1 : 0;
      for (float& x : expected) {
        if (is_fp8) {
          const uint8_t bits = to_f8_e4m3(x);
          convert(&bits, DType::f8_e4m3, &x, DType::f32, 1);
        } else {
          x = to_float(to_f16(x));
        }
      }
      ASSERT_EQ(to.dtype, is_fp8 ? DType::f8_e4m3 : DType::f16) << tensor;
      expect_values(to, expected, tensor);
    }
  EXPECT_GT(eight_bits, 50u);
  // As stored, through a folder and back.
  expect_equal_models(read, open_model(converted(folder_ / "fp8.safetensors", "fp8")));
}

class Quantised : public Convert, public testing::WithParamInterface<const char*> {};

TEST_P(Quantised, HasTheValuesOfItsBlocks) {
  const std::string name = GetParam();
  const BlockType& type = block_type(name);
  const fs::path gguf =
      converted(small_folder(), "q.gguf", std::string("q") + name[1] + "_" + (name[3] == 'K' ? 'k' : name[3]));
  const ModelSource source = open_model(small_folder()), read = open_model(gguf);
  EXPECT_EQ(source.config, read.config);
  size_t quantised = 0;
  for (const auto& [component, part] : source.components)
    for (const std::string& tensor : part.weights->names()) {
      const CheckpointTensor from = part.weights->get(tensor), to = read.component(component).weights->get(tensor);
      std::vector<float> expected = from.floats();
      const bool is_matrix = component == "unet" && from.dims.size() >= 2;
      if (is_matrix && from.dims.back() % static_cast<int64_t>(type.elements) == 0) {
        std::vector<std::byte> block(type.bytes);
        for (size_t i = 0; i < expected.size(); i += type.elements) {
          block_encoder(type)(&expected[i], block.data());
          type.decode(block.data(), &expected[i]);
        }
        ++quantised;
        ASSERT_EQ(to.stored_type(), name) << tensor;
      } else {
        ASSERT_EQ(to.stored_type(), "f16") << tensor;
      }
      expect_values(to, expected, tensor);
    }
  EXPECT_GT(quantised, 30u);
  EXPECT_THAT(problem(gguf, "x.safetensors"),
              HasSubstr("stored as " + name + ", which is not written unchanged: give dtype"));
  converted(gguf, "x.safetensors", "fp16");
}

INSTANTIATE_TEST_SUITE_P(All, Quantised, testing::Values("Q8_0", "Q4_K", "Q5_1"),
                         [](const auto& test) { return std::string(test.param); });

// The types of tensors that stay as stored.
TEST(TensorTypes, RefuseTypesThatAreNotWrittenUnchanged) {
  const auto message = [](OutputKind kind, DType type, bool is_scaled, bool is_changed) -> std::string {
    CheckpointTensor stored{type, {2, 2}, {}};
    stored.scaled = is_scaled;
    GgufSpec spec{"w", DType::f32, {2, 2}};
    try {
      TensorTypes("", kind).set(spec, "unet", stored, is_changed, "'w'");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
      return error.what();
    }
    EXPECT_EQ(spec.dtype, type);
    return "";
  };
  EXPECT_EQ(message(OutputKind::folder, DType::f8_e5m2, false, false), "");
  EXPECT_EQ(message(OutputKind::safetensors, DType::f8_e4m3, false, true), "");
  EXPECT_THAT(message(OutputKind::safetensors, DType::f8_e4m3, true, false),
              HasSubstr("'w' is stored as f8_e4m3 with a scale, which is not written unchanged: give dtype"));
  EXPECT_THAT(message(OutputKind::folder, DType::f8_e5m2, false, true), HasSubstr("stored as f8_e5m2,"));
  EXPECT_THAT(message(OutputKind::gguf, DType::f8_e4m3, false, false), HasSubstr("stored as f8_e4m3,"));
}

// Values that a checkpoint over the stored one computes, such as those with adapters.
TEST_F(Convert, ChangedValuesHaveTheStoredTypes) {
  EngineOptions engine;
  engine.model = tiny_folder().string();
  ConvertedModel model = open_converted_model(engine, {}, {});
  ConvertedPart& unet = model.parts.at(2);
  ASSERT_EQ(unet.component, "unet");
  MadeCheckpoint::Tensors tensors;
  for (const std::string& name : unet.stored->names()) tensors.emplace(name, unet.stored->get(name));
  const auto values = std::make_shared<std::vector<float>>(tensors.at("conv_in.bias").floats());
  for (float& x : *values) x += 1.0f / 3;
  CheckpointTensor& changed = tensors.at("conv_in.bias");
  changed.dtype = DType::f32;
  changed.revision = 1;
  changed.reader = std::make_shared<StoredElements>(DType::f32, std::as_bytes(std::span(*values)), values);
  unet.weights = std::make_shared<MadeCheckpoint>(tensors, "changed weights");

  const std::vector<OutputTensor> written = diffusers_tensors(unet, TensorTypes("", OutputKind::folder));
  TensorWriter({}, {}).write_safetensors(folder_ / "u.safetensors", written, {});
  const SafetensorsFile file(folder_ / "u.safetensors");
  for (float& x : *values) x = to_float(to_f16(x));
  EXPECT_EQ(file.get("conv_in.bias").dtype, DType::f16);
  EXPECT_EQ(file.get("conv_in.bias").floats(), *values);
  EXPECT_EQ(stored_bytes(file.get("conv_in.weight")), stored_bytes(unet.stored->get("conv_in.weight")));
}

TEST_F(Convert, AddsAdapters) {
  const std::string name = "time_embedding.linear_1";
  EngineOptions engine;
  engine.model = tiny_folder().string();
  const std::shared_ptr<const Checkpoint> stored = open_model(tiny_folder()).component("unet").weights;
  const CheckpointTensor weight = stored->get(name + ".weight");
  const auto rows = static_cast<size_t>(weight.dims[0]), columns = static_cast<size_t>(weight.dims[1]);
  std::vector<float> down(columns), up(rows);
  for (size_t i = 0; i < columns; ++i) down[i] = static_cast<float>(i % 7) / 8;
  for (size_t i = 0; i < rows; ++i) up[i] = static_cast<float>(i % 5) / 4 - 0.5f;
  const auto bytes = [](const std::vector<float>& values) {
    const auto view = std::as_bytes(std::span(values));
    return std::vector<std::byte>(view.begin(), view.end());
  };
  const std::string module = "lora_unet_time_embedding_linear_1";
  write_safetensors(folder_ / "l.safetensors",
                    {{{module + ".lora_down.weight", DType::f32, {1, weight.dims[1]}}, bytes(down)},
                     {{module + ".lora_up.weight", DType::f32, {weight.dims[0], 1}}, bytes(up)}});
  convert(engine, {.lora = {(folder_ / "l.safetensors").string() + ":0.5"}}, folder_ / "merged");
  const std::shared_ptr<const Checkpoint> merged = open_model(folder_ / "merged").component("unet").weights;
  std::vector<float> expected = weight.floats();
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c)
      expected[r * columns + c] = to_float(to_f16(expected[r * columns + c] + 0.5f * up[r] * down[c]));
  EXPECT_EQ(merged->get(name + ".weight").dtype, DType::f16);
  EXPECT_EQ(merged->get(name + ".weight").floats(), expected);
  EXPECT_EQ(stored_bytes(merged->get("conv_in.weight")), stored_bytes(stored->get("conv_in.weight")));
  EXPECT_THAT(problem(tiny_folder(), "again", "fp7"), HasSubstr("dtype"));
}

// A folder whose scheduler is another one.
class Marks : public Convert {
 protected:
  Marks() { fs::copy(small_folder(), folder_ / "in", fs::copy_options::recursive); }
  void set_scheduler(const json& keys) {
    json scheduler = json::parse(sdxl_scheduler_config());
    scheduler.update(keys);
    write_file(folder_ / "in/scheduler/scheduler_config.json", scheduler.dump());
  }
};

TEST_F(Marks, VPredictionAndZeroTerminalSnr) {
  set_scheduler({{"prediction_type", "v_prediction"}, {"rescale_betas_zero_snr", true}});
  for (const char* name : {"m.safetensors", "m.gguf"}) {
    const fs::path file = converted(folder_ / "in", name);
    EXPECT_THAT(open_tensor_file(file)->names(), testing::IsSupersetOf({"v_pred", "ztsnr"}));
    for (const fs::path& opened : {file, converted(file, std::string(name) + ".folder")}) {
      const json scheduler = json::parse(open_model(opened).scheduler_config);
      EXPECT_EQ(scheduler["prediction_type"], "v_prediction");
      EXPECT_EQ(scheduler["rescale_betas_zero_snr"], true);
    }
  }
  EXPECT_EQ(SafetensorsFile(folder_ / "m.safetensors").metadata().at("modelspec.prediction_type"), "v");
  EXPECT_EQ(SafetensorsFile(folder_ / "m.safetensors").get("v_pred").elements(), 0);
}

TEST_F(Marks, EdmSchedules) {
  set_scheduler({{"_class_name", "EDMEulerScheduler"},
                 {"prediction_type", "v_prediction"},
                 {"sigma_max", 100.0},
                 {"sigma_min", 0.004}});
  for (const char* name : {"cosxl.safetensors", "cosxl.gguf"}) {
    const json scheduler = json::parse(open_model(converted(folder_ / "in", name)).scheduler_config);
    EXPECT_EQ(scheduler["_class_name"], "EDMEulerScheduler");
    EXPECT_EQ(scheduler["sigma_max"], 100.0);
    EXPECT_EQ(scheduler["sigma_min"], 0.004);
  }
  VaeConfig vae = open_model(small_folder()).config.vae;
  vae.latents_mean = {1, 2, 3, 4};
  vae.latents_std = {5, 6, 7, 8};
  vae.scaling_factor = 0.5;
  write_file(folder_ / "in/vae/config.json", to_json(vae));
  set_scheduler({{"_class_name", "EDMDPMSolverMultistepScheduler"}});
  for (const char* name : {"playground.safetensors", "playground.gguf"}) {
    const ModelSource read = open_model(converted(folder_ / "in", name));
    EXPECT_EQ(read.config.vae, vae);
    EXPECT_THAT(read.scheduler_config, HasSubstr("EDMDPMSolverMultistepScheduler"));
  }
}

TEST_F(Marks, OfAnotherSchedulerOnlyAWarning) {
  set_scheduler({{"_class_name", "DDIMScheduler"}});
  write_file(folder_ / "in/defaults.json", R"({"num_inference_steps": 7})");
  converted(folder_ / "in", "m.safetensors");
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("cannot hold the scheduler, the defaults")));
  EXPECT_EQ(open_model(converted(folder_ / "in", "out")).defaults.num_inference_steps, 7);
}

TEST_F(Convert, MetadataStaysButHashes) {
  const fs::path file = converted(small_folder(), "m.safetensors");
  const SafetensorsFile source(file);
  std::vector<TensorSpec> specs;
  for (const std::string& name : source.names()) specs.push_back({name, source.get(name).dtype, source.get(name).dims});
  {
    SafetensorsWriter writer(folder_ / "n.safetensors", specs,
                             {{"modelspec.title", "A"}, {"modelspec.hash_sha256", "0x1"}, {"ss_x", "1"}});
    for (const std::string& name : source.names()) writer.append(stored_bytes(source.get(name)));
    writer.commit();
  }
  const auto metadata = SafetensorsFile(converted(folder_ / "n.safetensors", "o.safetensors")).metadata();
  EXPECT_EQ(metadata.at("modelspec.title"), "A");
  EXPECT_EQ(metadata.at("ss_x"), "1");
  EXPECT_EQ(metadata.count("modelspec.hash_sha256"), 0u);
  const auto of_unet =
      SafetensorsFile(converted(folder_ / "n.safetensors", "o") / "unet/diffusion_pytorch_model.safetensors")
          .metadata();
  EXPECT_EQ(of_unet.at("modelspec.title"), "A");
  EXPECT_EQ(SafetensorsFile(converted(folder_ / "o", "p.safetensors")).metadata(), metadata);
}

TEST_F(Convert, AUnetAlone) {
  ModelConfig rest = preset("small");
  rest.unet.sample_size = 128;
  EngineOptions engine;  // a file alone is taken for one with SDXL's text encoders, which are wider
  engine.unet_config = (small_folder() / "unet").string();
  const UnetReplacement source = open_unet({.unet = small_folder() / "unet"}, rest);
  const fs::path file = converted(small_folder() / "unet", "unet.safetensors");
  EXPECT_TRUE(SafetensorsFile(file).find("model.diffusion_model.input_blocks.0.0.weight"));
  for (const fs::path& path :
       {file, converted(file, "unet.gguf", "", engine), converted(small_folder() / "unet", "unet"),
        converted(small_folder() / "unet/diffusion_pytorch_model.safetensors", "u.safetensors")}) {
    const UnetReplacement read = open_unet({.unet = path}, rest);
    EXPECT_EQ(read.config, source.config);
    expect_equal_tensors(*read.component.weights, *source.component.weights);
  }
  EXPECT_TRUE(fs::exists(folder_ / "unet/config.json"));
}

TEST_F(Convert, SaysWhatAUnetAloneLoses) {
  converted(tiny_folder() / "unet", "tiny.safetensors");  // its heads are not 64 wide
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("tiny.safetensors' cannot hold the configuration of the unet")));
  warnings_.clear();
  EngineOptions engine;
  engine.unet_config = (tiny_folder() / "unet").string();
  converted(folder_ / "tiny.safetensors", "unet", "", engine);
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(Convert, AnAutoencoderAlone) {
  const ReplacingVae source = open_vae(small_folder() / "vae");
  const fs::path file = converted(small_folder() / "vae", "vae.safetensors");
  EXPECT_TRUE(SafetensorsFile(file).find("decoder.mid.attn_1.q.weight"));
  for (const fs::path& path : {file, converted(file, "vae"), converted(small_folder() / "vae", "vae32", "fp32")}) {
    const ReplacingVae read = open_vae(path);
    EXPECT_EQ(read.vae.config, source.vae.config);
    if (path.filename() != "vae32") expect_equal_tensors(*read.vae.component.weights, *source.vae.component.weights);
  }
  const fs::path tiny = converted(small_folder() / "vae_tiny", "tiny.safetensors");
  expect_equal_tensors(SafetensorsFile(tiny),
                       SafetensorsFile(small_folder() / "vae_tiny/diffusion_pytorch_model.safetensors"));
}

TEST_F(Convert, RefusesMistakesBeforeAnyWork) {
  const fs::path in = tiny_folder();
  EXPECT_THAT(problem(in, "m.ckpt"), HasSubstr("m.ckpt' has the ending of a format that is not written"));
  EXPECT_THAT(problem(in, "m", "q8_0"), HasSubstr("dtype is 'q8_0', which only GGUF files have"));
  EXPECT_THAT(problem(in, "m.gguf", "fp8"), HasSubstr("dtype is 'fp8', which GGUF files do not have"));
  EXPECT_THAT(problem(in, "m.gguf", "q2_k"), HasSubstr("dtype is 'q2_k': give"));
  EXPECT_THAT(problem(in, "m", "int8"), HasSubstr("dtype is 'int8': give"));
  EXPECT_THAT(problem(in, "missing/m.gguf"), HasSubstr("missing' does not exist"));
  fs::create_symlink("loop", folder_ / "loop");
  EXPECT_THAT(problem(folder_ / "loop/x", "m"), HasSubstr("loop"));
  write_file(folder_ / "m.safetensors", "");
  EXPECT_THAT(problem(in, "m.safetensors"), HasSubstr("exists already"));
  EXPECT_THAT(problem(folder_ / "none", "m"), HasSubstr("none"));
}

TEST_F(Convert, RefusesNumbersThatTheTypeDoesNotHave) {
  fs::copy(synthesised("tiny", "fp32"), folder_ / "in", fs::copy_options::recursive);
  const fs::path weights = folder_ / "in/unet/diffusion_pytorch_model.safetensors";
  const CheckpointTensor tensor = SafetensorsFile(weights).get("conv_in.weight");
  const SafetensorsHeader header = parse_safetensors(MappedFile(weights).bytes(), "unet");
  const auto entry = std::ranges::find(header.tensors, "conv_in.weight", &SafetensorsEntry::name);
  const auto set_first = [&](float value) {
    std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(entry->begin));
    file.write(reinterpret_cast<const char*>(&value), sizeof value);
  };
  set_first(500);
  EXPECT_THAT(problem(folder_ / "in", "a.safetensors", "fp8"),
              HasSubstr("has the number 500, which f8_e4m3 does not have"));
  converted(folder_ / "in", "b.safetensors", "fp16");
  set_first(65520);
  EXPECT_THAT(problem(folder_ / "in", "c.safetensors", "fp16"),
              HasSubstr("has the number 65520, which f16 does not have"));
  converted(folder_ / "in", "d.safetensors", "bf16");
}

TEST_F(Convert, StopsBetweenPieces) {
  EngineOptions engine;
  engine.model = tiny_folder().string();
  int pieces = 0;
  ConvertCallbacks callbacks;
  callbacks.cancelled = [&] { return ++pieces > 20; };
  for (const char* out : {"m.safetensors", "m.gguf", "m"}) {
    pieces = 0;
    try {
      convert(engine, {}, folder_ / out, callbacks);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::cancelled);
    }
  }
  EXPECT_THAT(folder_.names(), IsEmpty());
}

TEST_F(Convert, AKilledProcessLeavesNothingUnderTheName) {
  const std::string in = tiny_folder().string();
  for (const char* out : {"m.safetensors", "m.gguf", "m"}) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      EngineOptions engine;
      engine.model = in;
      ConvertCallbacks callbacks;
      callbacks.progress = [](uint64_t done, uint64_t total) {
        if (done > total / 2) ::raise(SIGKILL);
      };
      convert(engine, {}, folder_ / out, callbacks);
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_FALSE(fs::exists(folder_ / out));
    EXPECT_EQ(folder_.names().size(), 1u);  // hidden
    expect_equal_tensors(
        *open_unet({.unet = converted(in, out), .unet_config = in + "/unet"}, preset("tiny")).component.weights,
        *open_unet({.unet = in}, preset("tiny")).component.weights);
    EXPECT_THAT(folder_.names(), ElementsAre(out));
    fs::remove_all(folder_ / out);
  }
}

// The conversion of diffusers itself.
TEST_F(Convert, OfTheReferenceIsItsSingleFile) {
  const fs::path reference = fs::path(TEMPERA_REFERENCE) / "dev";
  if (!fs::exists(reference)) GTEST_SKIP() << "no reference data next to the repository";
  const SafetensorsFile expected(reference / "model_ldm.safetensors");
  expect_equal_tensors(SafetensorsFile(converted(reference / "model", "m.safetensors")), expected);
  EngineOptions engine;
  engine.model_config = (reference / "model").string();
  expect_equal_models(open_model(reference / "model"),
                      open_model(converted(reference / "model_ldm.safetensors", "back", "", engine)));
}

}  // namespace
}  // namespace tempera
