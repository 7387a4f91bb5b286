// The settings text of a picture, from a request that no engine runs.
#include "pipeline/metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/infotext.h"
#include "pipeline/settings_reader.h"

namespace tempera {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string text_of(const Request& request, const EngineOptions& engine = {},
                    const std::vector<RecordedInput>& inputs = {}) {
  ResolvedRequest resolved;
  resolved.request = request;
  resolved.request.width = resolved.request.height = 64;
  resolved.request.num_inference_steps = 4;
  resolved.request.guidance_scale = 5;
  resolved.scheduler_config.class_name = "EulerDiscreteScheduler";
  ModelSource source;
  source.names.model = "base";
  return parameters_text(resolved, engine, source, TileGrid{}, 7, inputs);
}

std::optional<std::string> value(const std::string& text, std::string_view key) {
  return parse_infotext(text).find(key);
}

// The request that has the settings of the text.
Request read_back(const std::string& text) {
  const PictureSettings settings = infotext_settings(text).value();
  EXPECT_TRUE(settings.unused.empty()) << text;
  Request request;
  EngineOptions engine;
  for (const FieldText& entry : settings.fields)
    for (const Field& field : request_fields())
      if (field.name == entry.field) field.set(request, engine, entry.text);
  return request;
}

std::string shown(const Request& request) {
  std::string text;
  for (const Field& field : request_fields())
    if (field.group == FieldGroup::request && field.name != "seed")
      text += std::string(field.name) + "=" + field.get(request, {}).value_or("absent") + "\n";
  return text;
}

TEST(Metadata, HasTheSecondPassUnderA1111sKeys) {
  Request request{.prompt = "p", .hires_scale = 1.5, .hires_strength = 0.5, .hires_steps = 9};
  const std::string text = text_of(request);
  EXPECT_EQ(value(text, "Hires upscale"), "1.5");
  EXPECT_EQ(value(text, "Hires steps"), "9");
  EXPECT_EQ(value(text, "Hires upscaler"), "Latent");
  EXPECT_EQ(value(text, "Denoising strength"), "0.5");
  for (const auto& [name, label] : {std::pair("latent-nearest", "Latent (nearest)"),
                                    {"latent-bicubic", "Latent (bicubic)"},
                                    {"lanczos", "Lanczos"}}) {
    request.hires_upscaler = name;
    EXPECT_EQ(value(text_of(request), "Hires upscaler"), label);
    EXPECT_EQ(read_back(text_of(request)).hires_upscaler, name);
  }
  EXPECT_EQ(value(text_of({.prompt = "p"}), "Hires upscaler"), std::nullopt);
}

TEST(Metadata, HasInputsByNameAndHash) {
  const std::vector<RecordedInput> inputs = {{"init_image", "a, b.png", std::string(64, 'a')},
                                             {"mask_image", "m.png", std::string(64, 'b')}};
  const std::string text =
      text_of({.prompt = "p", .init_image = {"/pictures/a, b.png"}, .mask_image = {"/pictures/m.png"}}, {}, inputs);
  EXPECT_THAT(text, testing::Not(HasSubstr("/pictures")));
  const PictureSettings settings = infotext_settings(text).value();
  EXPECT_THAT(settings.hashes, ElementsAre(RecordedHash{"init_image", "a, b.png", std::string(64, 'a')},
                                           RecordedHash{"mask_image", "m.png", std::string(64, 'b')}));
  EXPECT_THAT(read_back(text).init_image, ElementsAre("a, b.png"));
}

TEST(Metadata, HasTheRefiner) {
  const std::string text =
      text_of({.prompt = "p", .aesthetic_score = 7, .refiner_start = 0.75}, {.refiner = "/models/refiner.safetensors"});
  EXPECT_EQ(value(text, "Refiner"), "refiner");
  EXPECT_EQ(value(text, "Refiner switch at"), "0.75");
  EXPECT_EQ(value(text, "aesthetic_score"), "7");
}

// Every field of pictures that go in and of passes reads back from the text.
TEST(Metadata, ReadsBack) {
  Request request{.prompt = "p", .num_inference_steps = 4, .guidance_scale = 5};
  request.width = request.height = 64;
  request.init_image = {"a.png"};
  request.mask_image = {"m.png"};
  request.strength = 0.4;
  request.denoising_start = 0.25;
  request.resize_mode = "crop";
  request.mask_mode = "soft";
  request.mask_blur = 4;
  request.padding_mask_crop = 32;
  request.inpaint_fill = "noise";
  request.extend = {0, 8, 16, 24};
  request.paste = "off";
  request.aesthetic_score = 6.5;
  request.negative_aesthetic_score = 2;
  request.refiner_start = 0.7;
  request.hires_size = {{128, 96}};
  request.hires_strength = 0.6;
  request.hires_steps = 3;
  request.hires_upscaler = "lanczos";
  const std::string text = text_of(request, {}, {{"init_image", "a.png", "0"}, {"mask_image", "m.png", "1"}});
  EXPECT_EQ(shown(read_back(text)), shown(request)) << text;
}

}  // namespace
}  // namespace tempera
