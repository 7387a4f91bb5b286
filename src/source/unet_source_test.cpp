// A UNet of its own replaces the model's, in every form in which people share them, and one that does not fit is
// refused by names.
#include "source/unet_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/config_writer.h"
#include "source/marks.h"
#include "source/test_models.h"
#include "support/test_files.h"

namespace tempera {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kFile = "diffusion_pytorch_model.safetensors";

// Heads that are not 64 wide.
UnetConfig narrow(UnetConfig config) {
  for (size_t i = 1; i < 3; ++i) config.down[i].heads = config.up[2 - i].heads = 8;
  config.mid.heads = 8;
  return config;
}

Tensors with_names(Tensors tensors, const std::function<std::string(const std::string&)>& name) {
  for (TensorSpec& tensor : tensors) tensor.name = name(tensor.name);
  return tensors;
}

class UnetSource : public testing::Test {
 protected:
  // Under the original names, as `prefix` + "input_blocks...".
  Tensors original(const UnetConfig& unet, const std::string& prefix) const {
    ModelConfig model = model_;
    model.unet = unet;
    Tensors tensors;
    constexpr std::string_view kLong = "model.diffusion_model.";
    for (TensorSpec& tensor : single_file_tensors(model))
      if (tensor.name.starts_with(kLong)) tensors.push_back(std::move(tensor));
    return with_names(tensors, [&](const std::string& name) { return prefix + name.substr(kLong.size()); });
  }
  fs::path file(const std::string& name, const Tensors& tensors) {
    write_zeros(folder_ / name, tensors);
    return folder_ / name;
  }
  fs::path folder(const std::string& name, const UnetConfig& unet) {
    file(name + "/" + kFile, tensors_of(unet));
    write_file(folder_ / name / "config.json", to_json(unet));
    return folder_ / name;
  }
  UnetReplacement open(const fs::path& where, const fs::path& config = {}) const {
    return open_unet({.unet = where, .unet_config = config}, model_);
  }
  std::string problem(const fs::path& where, const fs::path& config = {}) const {
    return bad_file_message([&] { open(where, config); });
  }

  TemporaryFolder folder_;
  ModelConfig model_ = small_model();
};

TEST_F(UnetSource, OpensEveryForm) {
  UnetConfig deeper = model_.unet;  // not the model's own, so it is read from the shapes
  deeper.down[2].depths = {3, 3};
  deeper.up[0].depths = {3, 3, 3};
  deeper.mid.depth = 3;  // as a config.json has it: that of the innermost level
  for (const UnetConfig& unet : {model_.unet, deeper}) {
    const std::vector<fs::path> forms = {
        file("diffusers.safetensors", tensors_of(unet)),
        file("whole.safetensors", original(unet, "model.diffusion_model.")),
        file("bare.safetensors", original(unet, "")),
        file("short.safetensors", original(unet, "diffusion_model.")),
        folder("folder", unet),
        folder("folder", unet) / kFile,
    };
    for (const fs::path& form : forms) {
      const UnetReplacement opened = open(form);
      EXPECT_EQ(opened.config, unet) << form;
      EXPECT_EQ(opened.component.weights->names().size(), tensors_of(unet).size()) << form;
      EXPECT_EQ(opened.component.weights->get("conv_in.weight").dims, (std::vector<int64_t>{64, 4, 3, 3})) << form;
      EXPECT_EQ(opened.component.files.size(), 1u) << form;
      EXPECT_NE(opened.file, nullptr) << form;
    }
  }
  fs::create_directories(folder_ / "model");
  fs::rename(folder("folder", deeper), folder_ / "model/unet");
  EXPECT_EQ(open(folder_ / "model").config, deeper);
}

TEST_F(UnetSource, HeadsComeFromTheConfigOrTheModel) {
  UnetConfig unet = narrow(model_.unet);
  const fs::path bare = file("bare.safetensors", original(unet, ""));
  write_file(folder_ / "given/config.json", to_json(unet));
  EXPECT_EQ(open(bare, folder_ / "given").config, unet);
  EXPECT_EQ(open(bare, folder_ / "given/config.json").config, unet);
  EXPECT_THAT(problem(bare, folder_ / "none"), AllOf(HasSubstr("none"), HasSubstr("give unet_config")));
  // Equal shapes: the heads of the model's own UNet.
  model_.unet = unet;
  EXPECT_EQ(open(bare).config, unet);
  // Neither is known, and 96 is no multiple of 64.
  for (size_t i = 0; i < 3; ++i) unet.down[i].channels = unet.up[2 - i].channels = 96;
  model_.unet.down.clear();
  EXPECT_THAT(problem(file("other.safetensors", original(unet, ""))),
              AllOf(HasSubstr("a width of 96"), HasSubstr("unet_config")));
}

TEST_F(UnetSource, NamesTheTensorThatDoesNotFit) {
  Tensors tensors = tensors_of(model_.unet);
  std::erase_if(tensors, [](const TensorSpec& tensor) { return tensor.name == "conv_norm_out.bias"; });
  EXPECT_THAT(problem(file("missing.safetensors", tensors)),
              AllOf(HasSubstr("missing.safetensors"), HasSubstr("'conv_norm_out.bias'"), HasSubstr("is missing")));
  tensors = tensors_of(model_.unet);
  tensors.push_back({"class_embedding.weight", DType::f16, {4, 4}});
  EXPECT_THAT(problem(file("more.safetensors", tensors)),
              AllOf(HasSubstr("'class_embedding.weight'"), HasSubstr("is not part of it")));
  UnetConfig wider = model_.unet;
  wider.time_embedding_dim = 512;
  write_file(folder_ / "wider/config.json", to_json(wider));
  EXPECT_THAT(problem(file("plain.safetensors", original(model_.unet, "")), folder_ / "wider"),
              AllOf(HasSubstr("'label_emb.0.0.bias'"), HasSubstr("is 256"), HasSubstr("expected 512"),
                    HasSubstr("give unet_config")));
}

TEST_F(UnetSource, RefusesFilesWithoutAUnet) {
  EXPECT_THAT(problem(folder_ / "none"), AllOf(HasSubstr("there is no UNet"), HasSubstr("give unet")));
  EXPECT_THAT(problem(file("lora.safetensors", {{"lora.weight", DType::f16, {4}}})),
              AllOf(HasSubstr("lora.safetensors"), HasSubstr("has no UNet of SDXL"), HasSubstr("conv_in.weight")));
  fs::create_directories(folder_ / "empty");
  EXPECT_THAT(problem(folder_ / "empty"), HasSubstr(kFile));
}

TEST_F(UnetSource, KeepsTheMarksOfItsFile) {
  Tensors tensors = original(model_.unet, "model.diffusion_model.");
  tensors.push_back({"v_pred", DType::f32, {}});
  const UnetReplacement unet = open(file("v.safetensors", tensors));
  EXPECT_TRUE(unet.file->find("v_pred"));
  EXPECT_FALSE(unet.component.weights->find("v_pred"));
}

TEST_F(UnetSource, ObeysTheVariant) {
  const fs::path folder = this->folder("folder", model_.unet);
  fs::rename(folder / kFile, folder / "diffusion_pytorch_model.fp16.safetensors");
  EXPECT_EQ(open(folder).component.variant, "fp16");
  write_zeros(folder / kFile, tensors_of(model_.unet));
  EXPECT_EQ(open(folder).component.variant, "");
  const UnetReplacement unet = open_unet({.variant = "fp16", .unet = folder}, model_);
  EXPECT_EQ(unet.component.variant, "fp16");
  EXPECT_EQ(unet.component.files[0].filename(), "diffusion_pytorch_model.fp16.safetensors");
}

// The model around it.
class ReplacedUnet : public UnetSource {
 protected:
  // A diffusers folder without its UNet's weights; with its config if `config`.
  fs::path model_without_unet(bool config) {
    fs::path root = folder_ / "without";
    for (const auto& [component, tensors] : model_tensors(model_))
      if (component != kUnet)
        write_zeros(root / component / (std::string(component_kind(component).weights_stem()) + ".safetensors"),
                    tensors);
    for (const auto& [component, part] : component_configs(model_))
      if (component != kUnet || config) write_file(root / component / "config.json", config_json(part));
    write_file(root / "scheduler/scheduler_config.json", sdxl_scheduler_config());
    write_file(root / "model_index.json", model_index_json(model_, "EulerDiscreteScheduler"));
    return root;
  }
};

TEST_F(ReplacedUnet, TheModelsOwnNeedNotBeThere) {
  const fs::path unet = file("bare.safetensors", original(model_.unet, ""));
  for (const bool config : {true, false}) {
    const fs::path root = model_without_unet(config);
    const ModelSource source = open_model(root, {.unet = unet});
    EXPECT_EQ(source.config, model_);
    EXPECT_EQ(source.component(kUnet).files, std::vector<fs::path>{unet});
    EXPECT_GT(source.component(kUnet).parameters, 0);
    EXPECT_THAT(bad_file_message([&] { open_model(root); }), HasSubstr("unet"));
    fs::remove_all(root);
  }
}

TEST_F(ReplacedUnet, InASingleFile) {
  const fs::path whole = file("whole.safetensors", single_file_tensors(model_));
  UnetConfig deeper = model_.unet;
  deeper.down[2].depths = {3, 3};
  deeper.up[0].depths = {3, 3, 3};
  deeper.mid.depth = 3;  // as a config.json has it: that of the innermost level
  Tensors tensors = original(deeper, "");
  tensors.push_back({"v_pred", DType::f32, {}});
  const fs::path unet = file("bare.safetensors", tensors);
  const ModelSource source = open_model(whole, {.unet = unet});
  EXPECT_EQ(source.config.unet, deeper);
  EXPECT_EQ(source.component("vae").files, std::vector<fs::path>{whole});
  EXPECT_EQ(source.file_bytes(), fs::file_size(whole) + fs::file_size(unet));
  EXPECT_THAT(source.scheduler_config, HasSubstr("v_prediction"));
}

// A file that has the other parts of a model, or whose own UNet is damaged.
TEST_F(ReplacedUnet, InASingleFileWithoutAUsableUnet) {
  const auto is_of_unet = [](const TensorSpec& tensor) { return tensor.name.starts_with("model.diffusion_model."); };
  Tensors without = single_file_tensors(model_), damaged = without;
  std::erase_if(without, is_of_unet);
  for (TensorSpec& tensor : damaged)
    if (is_of_unet(tensor) && !tensor.dims.empty()) tensor.dims[0] = 3;
  const fs::path unet = file("bare.safetensors", original(model_.unet, ""));
  const fs::path configs = model_without_unet(false);
  for (const fs::path& model : {file("without.safetensors", without), file("damaged.safetensors", damaged)}) {
    for (const fs::path& config : {fs::path(), configs}) {
      const ModelSource source = open_model(model, {.model_config = config, .unet = unet});
      EXPECT_EQ(source.config, model_) << model;
      EXPECT_EQ(source.component(kUnet).files, std::vector<fs::path>{unet});
      EXPECT_EQ(source.component("text_encoder_2").files, std::vector<fs::path>{model});
    }
    EXPECT_NE(bad_file_message([&] { open_model(model); }), "") << model;
  }
  EXPECT_THAT(bad_file_message([&] { open_model(file("vae.safetensors", tensors_of(model_.vae)), {.unet = unet}); }),
              AllOf(HasSubstr("looks like a VAE"), HasSubstr("give it as vae")));
}

TEST_F(ReplacedUnet, InAVariant) {
  std::vector<std::string> warnings;
  const LogSink log = [&](LogLevel, std::string_view text) { warnings.emplace_back(text); };
  const auto refused = [](const fs::path& model, const OpenOptions& options) -> std::string {
    try {
      open_model(model, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
      return error.what();
    }
    return "";
  };
  const fs::path whole = file("whole.safetensors", single_file_tensors(model_)), root = model_without_unet(true);
  const fs::path unet = folder("folder", model_.unet), vae = folder_ / "other_vae";
  write_zeros(vae / kFile, tensors_of(model_.vae));
  write_file(vae / "config.json", to_json(model_.vae));
  for (const fs::path& model : {whole, root})
    EXPECT_THAT(refused(model, {.variant = "fp16", .unet = unet}), HasSubstr("has the variant 'fp16'"));
  EXPECT_THAT(refused(whole, {.variant = "fp16", .unet = unet / kFile}), HasSubstr("is a single file"));
  fs::copy(unet / kFile, unet / "diffusion_pytorch_model.fp16.safetensors");
  for (const fs::path& model : {whole, root}) {
    const ModelSource source = open_model(model, {.variant = "fp16", .unet = unet, .vae = vae, .log = log});
    EXPECT_EQ(source.component(kUnet).variant, "fp16");
    EXPECT_EQ(source.component("vae").variant, "");
    EXPECT_THAT(warnings, testing::Contains(AllOf(HasSubstr("other_vae' has no variant 'fp16'"),
                                                  HasSubstr("its plain weights are used"))));
    warnings.clear();
  }
  fs::copy(vae / kFile, vae / "diffusion_pytorch_model.fp16.safetensors");
  const ModelSource source = open_model(whole, {.variant = "fp16", .unet = unet, .vae = vae, .log = log});
  EXPECT_EQ(source.component("vae").variant, "fp16");
  EXPECT_THAT(warnings, testing::IsEmpty());
}

TEST_F(ReplacedUnet, IsNoModel) {
  for (const char* prefix : {"", "model.diffusion_model."})
    EXPECT_THAT(bad_file_message([&] { open_model(file("bare.safetensors", original(model_.unet, prefix))); }),
                AllOf(HasSubstr("looks like an SDXL UNet"), HasSubstr("give it as unet, and a whole model as model")));
}

TEST_F(ReplacedUnet, MustFitTheRestOfTheModel) {
  UnetConfig other = model_.unet;
  other.cross_attention_dim = 64;
  const fs::path unet = file("other.safetensors", original(other, ""));
  EXPECT_THAT(bad_file_message([&] { open_model(model_without_unet(true), {.unet = unet}); }),
              AllOf(HasSubstr("other.safetensors"), HasSubstr("text of width 64"), HasSubstr("give 128")));
}

}  // namespace
}  // namespace tempera
