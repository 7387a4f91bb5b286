// For tests only: the small model of zeros as a diffusers folder.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "models/config_writer.h"
#include "source/marks.h"
#include "source/model_source.h"
#include "source/test_models.h"
#include "support/test_files.h"

namespace tempera {

// The message of a model that is refused.
inline std::string opening(const std::filesystem::path& model, const OpenOptions& options = {}) {
  return bad_file_message([&] { open_model(model, options); });
}

class SmallModelFolder : public testing::Test {
 protected:
  SmallModelFolder() {
    const ModelConfig config = small_model();
    write_file(root_ / "model_index.json", index_.dump());
    write_file(root_ / "scheduler/scheduler_config.json", sdxl_scheduler_config());
    write_file(root_ / "text_encoder/config.json", to_json(*config.text_encoder));
    write_file(root_ / "text_encoder_2/config.json", to_json(config.text_encoder_2));
    write_file(root_ / "unet/config.json", to_json(config.unet));
    write_file(root_ / "vae/config.json", to_json(config.vae));
    for (const auto& [component, tensors] : model_tensors(config)) write_zeros(weights(component), tensors);
  }

  static const char* stem(std::string_view component) {
    return component == "unet" || component == "vae" ? "diffusion_pytorch_model" : "model";
  }
  std::filesystem::path weights(std::string_view component, const std::string& dot_variant = "") const {
    return root_ / component / fmt::format("{}{}.safetensors", stem(component), dot_variant);
  }
  void make_variant(std::string_view component, const std::string& dot_variant = ".fp16") const {
    std::filesystem::rename(weights(component), weights(component, dot_variant));
  }
  ModelSource open(OpenOptions options = {}) {
    warnings_.clear();
    options.log = [this](LogLevel, std::string_view text) { warnings_.emplace_back(text); };
    return open_model(root_, options);
  }
  void write_index() const { write_file(root_ / "model_index.json", index_.dump()); }

  TemporaryFolder folder_;
  std::filesystem::path root_ = folder_ / "model";
  std::vector<std::string> warnings_;
  nlohmann::json index_ = {{"_class_name", "StableDiffusionXLPipeline"},
                           {"text_encoder", {"transformers", "CLIPTextModel"}},
                           {"text_encoder_2", {"transformers", "CLIPTextModelWithProjection"}},
                           {"image_encoder", {nullptr, nullptr}},
                           {"unet", {"diffusers", "UNet2DConditionModel"}},
                           {"vae", {"diffusers", "AutoencoderKL"}}};
};

}  // namespace tempera
