// The settings of each program, as its pictures have them, and requests that are made from settings.
#include "tempera/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "pipeline/settings_reader.h"
#include "source/catalog/hash_store.h"
#include "source/catalog/sha256.h"
#include "support/files.h"

namespace tempera {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

PictureSettings read(const std::string& parameters) {
  return settings_of({{"parameters", parameters}}).value();
}

FieldText field(std::string name, std::string text) {
  return {std::move(name), std::move(text)};
}

std::string problem(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// What A1111 does not write has its default there.
TEST(Settings, OfA1111) {
  const PictureSettings settings = read(
      "a cat <lora:style:0.8> and <lora:two words:0.5:0.25>\nNegative prompt: blurry\n"
      "Steps: 20, Sampler: DPM++ 2M, CFG scale: 7, Seed: 965400086, Size: 512x768, Model hash: 31E35C80FC, "
      "Model: sd_xl_base_1.0, VAE hash: 63aeecb90f, VAE: sdxl_vae.safetensors, ENSD: 31337, Tiling: True, Lora "
      "hashes: \"style: 0123456789ab, two words: cdef01234567\", Version: v1.10.0");
  EXPECT_EQ(settings.program, "A1111");
  EXPECT_THAT(settings.fields,
              UnorderedElementsAre(
                  field("prompt", "a cat  and "), field("negative_prompt", "blurry"), field("lora", "style:0.8"),
                  field("lora", "two words:0.25:0.5"), field("num_inference_steps", "20"), field("guidance_scale", "7"),
                  field("seed", "965400086"), field("width", "512"), field("height", "768"),
                  field("model", "sd_xl_base_1.0"), field("vae", "sdxl_vae.safetensors"),
                  field("scheduler", "DPM++ 2M"), field("schedule", "Automatic"), field("rng", "cuda")));
  EXPECT_THAT(settings.hashes, ElementsAre(RecordedHash{"model", "sd_xl_base_1.0", "31e35c80fc"},
                                           RecordedHash{"vae", "sdxl_vae.safetensors", "63aeecb90f"},
                                           RecordedHash{"lora", "style", "0123456789ab"},
                                           RecordedHash{"lora", "two words", "cdef01234567"}));
  EXPECT_THAT(settings.remarks, ElementsAre(HasSubstr("ENSD is 31337")));
  EXPECT_THAT(settings.unused, ElementsAre(Pair("Tiling", "True")));
}

TEST(Settings, OfA1111InAllItsForms) {
  const auto text = [](const std::string& values) { return "p\nSteps: 4, Seed: 1, Size: 64x64, " + values; };
  const auto value = [&](const std::string& values, std::string_view name) {
    const PictureSettings settings = read(text(values));
    const std::string* found = find_field(settings, name);
    return found == nullptr ? "absent" : *found;
  };
  EXPECT_EQ(value("Sampler: Euler a, Schedule type: SGM Uniform", "schedule"), "SGM Uniform");
  EXPECT_EQ(value("RNG: CPU", "rng"), "cpu");
  EXPECT_EQ(value("RNG: NV", "rng"), "cuda");
  EXPECT_EQ(value("Clip skip: 1", "clip_skip"), "absent");
  EXPECT_EQ(value("Clip skip: 2", "clip_skip"), "absent");
  EXPECT_EQ(value("Clip skip: 4", "clip_skip"), "2");
  EXPECT_EQ(value("VAE: Automatic", "vae"), "absent");
  EXPECT_EQ(value("Sampler: DDIM", "negative_prompt"), "absent");
  EXPECT_EQ(value("Eta DDIM: 0.5", "eta"), "0.5");
  EXPECT_EQ(value("Refiner: xl [7440042bbd], Refiner switch at: 0.8", "refiner"), "xl [7440042bbd]");
  EXPECT_EQ(value("Refiner: xl [7440042bbd], Refiner switch at: 0.8", "refiner_start"), "0.8");
  const std::string hires = "Denoising strength: 0.55, Hires upscale: 1.5, Hires steps: 0, Hires upscaler: ";
  EXPECT_EQ(value(hires + "Latent", "hires_upscaler"), "latent-bilinear");
  EXPECT_EQ(value(hires + "Latent (nearest)", "hires_upscaler"), "latent-nearest");
  EXPECT_EQ(value(hires + "Latent (bicubic)", "hires_upscaler"), "latent-bicubic");
  EXPECT_EQ(value(hires + "ESRGAN_4x", "hires_upscaler"), "ESRGAN_4x");
  EXPECT_EQ(value(hires + "Latent", "hires_strength"), "0.55");
  EXPECT_EQ(value(hires + "Latent", "strength"), "absent");
  EXPECT_EQ(value(hires + "Latent", "hires_steps"), "absent");
  EXPECT_EQ(value(hires + "Latent", "hires_scale"), "1.5");
  EXPECT_EQ(value("Denoising strength: 0.4", "strength"), "0.4");
  EXPECT_THAT(read(text("Denoising strength: 0.4")).remarks, ElementsAre(HasSubstr("drawn from another one")));
  EXPECT_EQ(value("TI hashes: \"bad: 0123456789ab\"", "textual_inversion"), "bad");
}

TEST(Settings, OfA1111NameWhatHasNoMeaningHere) {
  const PictureSettings settings = read(
      "(a cat:1.2) <hypernet:x:1> 1 < 2 <b> <lora:a:te=0.5:unet=0.1:dyn=8>\n"
      "Steps: 4, Seed: 1, CFG scale: 2");
  EXPECT_EQ(*find_field(settings, "prompt"), "(a cat:1.2)  1 < 2 <b> ");
  EXPECT_EQ(*find_field(settings, "lora"), "a:0.1:0.5");
  EXPECT_THAT(settings.remarks,
              UnorderedElementsAre("'<hypernet:x:1>' in the prompt has no place here",
                                   "'dyn=8' of the LoRA 'a' has no place here", HasSubstr("which is read as text")));
}

TEST(Settings, OfStableDiffusionCpp) {
  const PictureSettings settings = read(
      "A sunflower field\nSteps: 30, CFG scale: 5.000000, Guidance: 3.500000, Eta: 0.000000, Seed: 197583933, Size: "
      "512x512, Model: v1-5.safetensors, RNG: cuda, Sampler: dpm++2m karras, Version: stable-diffusion.cpp");
  EXPECT_EQ(settings.program, "stable-diffusion.cpp");
  EXPECT_EQ(*find_field(settings, "scheduler"), "dpm++2m karras");
  EXPECT_EQ(find_field(settings, "schedule"), nullptr);
  EXPECT_EQ(*find_field(settings, "guidance_scale"), "5.000000");
  EXPECT_EQ(*find_field(settings, "rng"), "cuda");
  EXPECT_EQ(
      *find_field(read("p\nSteps: 3, Seed: 1, Sampler: euler_a discrete, Version: stable-diffusion.cpp"), "scheduler"),
      "euler_a");
}

TEST(Settings, OfTempera) {
  const PictureSettings settings = read(
      "a cat\nSteps: 20, Sampler: Euler, Schedule type: Uniform, CFG scale: 7, Seed: 1, Size: 64x72, Model: base, VAE: "
      "vae_tiny, Denoising strength: 0.5, RNG: NV, tiny_vae: model, hires_strength: 0.25, Hires upscale: 2, Hires "
      "upscaler: Lanczos, init_image: \"a, b.png\", init_image hash: 00ff, negative_prompt: \"\", timesteps: "
      "\"800,300\", "
      "textual_inversion: \"bad:word\", lora: \"[\\\"a, b:1\\\",\\\"c:0.5\\\"]\", Lora hashes: \"c: 0123456789\", "
      "Version: tempera 0.2.0");
  EXPECT_EQ(settings.program, "tempera");
  EXPECT_THAT(settings.fields,
              UnorderedElementsAre(
                  field("prompt", "a cat"), field("num_inference_steps", "20"), field("guidance_scale", "7"),
                  field("seed", "1"), field("width", "64"), field("height", "72"), field("model", "base"),
                  field("strength", "0.5"), field("rng", "cuda"), field("tiny_vae", "model"),
                  field("hires_strength", "0.25"), field("hires_scale", "2"), field("hires_upscaler", "lanczos"),
                  field("init_image", "a, b.png"), field("negative_prompt", ""), field("timesteps", "800,300"),
                  field("textual_inversion", "bad:word"), field("lora", "a, b:1"), field("lora", "c:0.5")));
  EXPECT_THAT(settings.hashes,
              ElementsAre(RecordedHash{"init_image", "a, b.png", "00ff"}, RecordedHash{"lora", "c", "0123456789"}));
  EXPECT_THAT(settings.remarks, IsEmpty());
  EXPECT_THAT(settings.unused, IsEmpty());
}

TEST(Settings, OfTemperaWithPromptsThatTheTextCannotHold) {
  const PictureSettings settings = read(
      "a\nNegative prompt: b\nSteps: 2, Seed: 1, Size: 64x64, prompt: \"a\\nNegative prompt: b\", Version: tempera "
      "0.2.0");
  EXPECT_EQ(*find_field(settings, "prompt"), "a\nNegative prompt: b");
  EXPECT_EQ(find_field(settings, "negative_prompt"), nullptr);
}

TEST(Settings, OfTemperaSetNoOtherFields) {
  const PictureSettings settings = read(
      "a\nSteps: 2, Seed: 1, Size: 64x64, models_dir: /tmp, device: cuda, num_images_per_prompt: 99, eta: 0.5, "
      "Version: "
      "tempera 0.2.0");
  EXPECT_THAT(settings.unused,
              ElementsAre(Pair("models_dir", "/tmp"), Pair("device", "cuda"), Pair("num_images_per_prompt", "99")));
  EXPECT_EQ(*find_field(settings, "eta"), "0.5");
}

TEST(Settings, ListsReadBack) {
  const std::vector<std::vector<std::string>> lists = {{},        {"a:1"},     {"a:1", "b:2"}, {"a, b:1", "c"},
                                                       {"[x]:1"}, {"x,", "y"}, {"a\"b\\c"},    {"a\nb:1"},
                                                       {"", "b"}, {", "},      {"\xC3\xA4,b"}};
  for (const auto& list : lists) EXPECT_EQ(split_list(joined_list(list)), list) << joined_list(list);
  EXPECT_EQ(joined_list({"a:1", "b,c:2"}), "a:1, b,c:2");
  EXPECT_THAT(split_list("[broken, b"), ElementsAre("[broken", "b"));
}

json node(const char* type, json inputs) {
  return {{"class_type", type}, {"inputs", std::move(inputs)}};
}

json comfyui() {
  return {{"3", node("KSampler", {{"seed", 5},
                                  {"steps", 25},
                                  {"cfg", 6.5},
                                  {"sampler_name", "dpmpp_2m"},
                                  {"scheduler", "karras"},
                                  {"denoise", 1},
                                  {"model", {"11", 0}},
                                  {"positive", {"6", 0}},
                                  {"negative", {"7", 0}},
                                  {"latent_image", {"5", 0}}})},
          {"4", node("CheckpointLoaderSimple", {{"ckpt_name", "xl\\base.safetensors"}})},
          {"5", node("EmptyLatentImage", {{"width", 832}, {"height", 1216}, {"batch_size", 1}})},
          {"6", node("CLIPTextEncode", {{"text", {"12", 0}}, {"clip", {"10", 1}}})},
          {"7", node("CLIPTextEncode", {{"text", ""}, {"clip", {"10", 1}}})},
          {"8", node("VAEDecode", {{"samples", {"3", 0}}, {"vae", {"4", 2}}})},
          {"9", node("SaveImage", {{"images", {"8", 0}}, {"filename_prefix", "x"}})},
          {"10", node("LoraLoader", {{"lora_name", "a.safetensors"},
                                     {"strength_model", 0.5},
                                     {"strength_clip", 1},
                                     {"model", {"4", 0}},
                                     {"clip", {"4", 1}}})},
          {"11", node("LoraLoaderModelOnly",
                      {{"lora_name", "b.safetensors"}, {"strength_model", 0.7}, {"model", {"10", 0}}})},
          {"12", node("PrimitiveString", {{"value", "a cat"}})}};
}

PictureSettings of_graph(const json& graph) {
  return settings_of({{"workflow", "{}"}, {"prompt", graph.dump()}}).value();
}

TEST(Settings, OfComfyUi) {
  const PictureSettings settings = of_graph(comfyui());
  EXPECT_EQ(settings.program, "ComfyUI");
  EXPECT_THAT(settings.fields,
              ElementsAre(field("num_inference_steps", "25"), field("guidance_scale", "6.5"), field("seed", "5"),
                          field("scheduler", "dpmpp_2m"), field("schedule", "karras"), field("prompt", "a cat"),
                          field("negative_prompt", ""), field("model", "xl/base.safetensors"),
                          field("lora", "a.safetensors:0.5:1"), field("lora", "b.safetensors:0.7:0"),
                          field("width", "832"), field("height", "1216"), field("rng", "cpu")));
  EXPECT_THAT(settings.remarks, IsEmpty());
  const PictureText in_exif = {{"Make", "workflow:{}"}, {"Model", "prompt:" + comfyui().dump()}};
  EXPECT_EQ(settings_of(in_exif).value().fields, settings.fields);
}

TEST(Settings, OfComfyUiWithPromptsForBothEncoders) {
  json graph = comfyui();
  graph["6"] = node("CLIPTextEncodeSDXL", {{"text_g", "(big)"},
                                           {"text_l", "small"},
                                           {"width", 512},
                                           {"height", 256},
                                           {"crop_w", 1},
                                           {"crop_h", 2},
                                           {"target_width", 64},
                                           {"target_height", 32},
                                           {"clip", {"13", 0}}});
  graph["7"] = node("ConditioningZeroOut", {{"conditioning", {"6", 0}}});
  graph["13"] = node("CLIPSetLastLayer", {{"stop_at_clip_layer", -4}, {"clip", {"10", 1}}});
  const PictureSettings settings = of_graph(graph);
  for (const FieldText& value :
       {field("prompt", "small"), field("prompt_2", "(big)"), field("original_size", "512x256"),
        field("target_size", "64x32"), field("crops_coords_top_left", "1,2"), field("clip_skip", "2")})
    EXPECT_THAT(settings.fields, Contains(value));
  EXPECT_EQ(find_field(settings, "negative_prompt"), nullptr);
}

TEST(Settings, OfComfyUiWithASecondSampler) {
  json graph = comfyui();
  graph["20"] =
      node("LatentUpscaleBy", {{"upscale_method", "nearest-exact"}, {"scale_by", 1.5}, {"samples", {"3", 0}}});
  graph["21"] = graph["3"];
  graph["21"]["inputs"]["latent_image"] = {"20", 0};
  graph["21"]["inputs"]["steps"] = 10;
  graph["21"]["inputs"]["denoise"] = 0.5;
  graph["8"]["inputs"]["samples"] = {"21", 0};
  PictureSettings settings = of_graph(graph);
  for (const FieldText& value :
       {field("num_inference_steps", "25"), field("hires_steps", "10"), field("hires_strength", "0.5"),
        field("hires_scale", "1.5"), field("hires_upscaler", "latent-nearest"), field("width", "832")})
    EXPECT_THAT(settings.fields, Contains(value));

  graph["30"] = node("CheckpointLoaderSimple", {{"ckpt_name", "refiner.safetensors"}});
  graph["3"]["class_type"] = graph["21"]["class_type"] = "KSamplerAdvanced";
  graph["3"]["inputs"]["noise_seed"] = 9;
  graph["21"]["inputs"].update({{"latent_image", {"3", 0}}, {"model", {"30", 0}}, {"start_at_step", 20}});
  settings = of_graph(graph);
  for (const FieldText& value :
       {field("seed", "9"), field("refiner", "refiner.safetensors"), field("refiner_start", "0.8")})
    EXPECT_THAT(settings.fields, Contains(value));
}

TEST(Settings, OfComfyUiFromAPicture) {
  json graph = comfyui();
  graph["5"] = node("VAEEncode", {{"pixels", {"20", 0}}, {"vae", {"4", 2}}});
  graph["20"] = node("LoadImage", {{"image", "photo.png"}});
  graph["3"]["inputs"]["denoise"] = 0.6;
  graph["3"]["inputs"]["model"] = {"21", 0};
  graph["21"] = node("FreeU_V2", {{"model", {"11", 0}}});
  const PictureSettings settings = of_graph(graph);
  EXPECT_THAT(settings.fields, Contains(field("init_image", "photo.png")));
  EXPECT_THAT(settings.fields, Contains(field("strength", "0.6")));
  EXPECT_THAT(settings.remarks, ElementsAre("the node FreeU_V2 has no place here"));
}

// A picture that was saved without the graph of the server.
TEST(Settings, OfComfyUisWorkflow) {
  const json workflow = {
      {"nodes",
       {{{"id", 3},
         {"type", "KSampler"},
         {"widgets_values", {5, "randomize", 25, 6.5, "euler", "normal", 1}},
         {"inputs",
          {{{"name", "model"}, {"link", 1}},
           {{"name", "positive"}, {"link", 4}},
           {{"name", "latent_image"}, {"link", 2}}}}},
        {{"id", 4}, {"type", "CheckpointLoaderSimple"}, {"widgets_values", {"base.safetensors"}}},
        {{"id", 5}, {"type", "EmptyLatentImage"}, {"widgets_values", {640, 480, 1}}},
        {{"id", 6}, {"type", "CLIPTextEncode"}, {"widgets_values", {"a cat"}}}}},
      {"links", {{1, 4, 0, 3, 0, "MODEL"}, {2, 5, 0, 3, 3, "LATENT"}, {4, 6, 0, 3, 1, "CONDITIONING"}}}};
  const PictureSettings settings = settings_of({{"workflow", workflow.dump()}}).value();
  EXPECT_THAT(settings.fields, ElementsAre(field("num_inference_steps", "25"), field("guidance_scale", "6.5"),
                                           field("seed", "5"), field("scheduler", "euler"), field("schedule", "normal"),
                                           field("prompt", "a cat"), field("model", "base.safetensors"),
                                           field("width", "640"), field("height", "480"), field("rng", "cpu")));
}

TEST(Settings, OfInvokeAi) {
  const json metadata = {{"generation_mode", "sdxl_txt2img"},
                         {"app_version", "5.4.2"},
                         {"positive_prompt", "a cat"},
                         {"negative_prompt", ""},
                         {"positive_style_prompt", "in ink"},
                         {"width", 1024},
                         {"height", 768},
                         {"seed", 42},
                         {"rand_device", "cpu"},
                         {"cfg_scale", 7.5},
                         {"steps", 30},
                         {"scheduler", "dpmpp_2m_sde_k"},
                         {"seamless_x", false},
                         {"seamless_y", true},
                         {"model", {{"name", "juggernaut"}, {"hash", "blake3:ab"}}},
                         {"loras", {{{"model", {{"name", "detail"}}}, {"weight", 0.6}}}},
                         {"vae", {{"model_name", "fix"}}}};
  const PictureSettings settings = settings_of({{"invokeai_metadata", metadata.dump()}}).value();
  EXPECT_EQ(settings.program, "InvokeAI");
  EXPECT_THAT(settings.fields,
              UnorderedElementsAre(field("prompt", "a cat"), field("prompt_2", "in ink"), field("width", "1024"),
                                   field("height", "768"), field("seed", "42"), field("num_inference_steps", "30"),
                                   field("guidance_scale", "7.5"), field("scheduler", "dpmpp_2m_sde"),
                                   field("schedule", "karras"), field("rng", "cpu"), field("model", "juggernaut"),
                                   field("vae", "fix"), field("lora", "detail:0.6")));
  EXPECT_THAT(settings.unused, ElementsAre(Pair("seamless_y", "true")));
}

TEST(Settings, OfFooocus) {
  const json parameters = {{"base_model", "jugger"},
                           {"base_model_hash", "aeb7e9e689"},
                           {"full_prompt", {"a cat, cinematic"}},
                           {"guidance_scale", 4.0},
                           {"loras", {{"offset", 0.1, "2a24e9a1"}}},
                           {"metadata_scheme", "fooocus"},
                           {"negative_prompt", ""},
                           {"performance", "Speed"},
                           {"prompt", "a cat"},
                           {"refiner_model", "None"},
                           {"refiner_switch", 0.5},
                           {"resolution", "(1152, 896)"},
                           {"sampler", "dpmpp_2m_sde_gpu"},
                           {"scheduler", "karras"},
                           {"seed", "123"},
                           {"sharpness", 2.0},
                           {"steps", 30},
                           {"styles", "['Fooocus V2']"},
                           {"vae", "Default (model)"},
                           {"version", "Fooocus v2.5.5"}};
  const PictureText text = {{"parameters", parameters.dump()}, {"fooocus_scheme", "fooocus"}};
  const PictureSettings settings = settings_of(text).value();
  EXPECT_EQ(settings.program, "Fooocus");
  EXPECT_THAT(settings.fields,
              UnorderedElementsAre(field("prompt", "a cat"), field("negative_prompt", ""), field("seed", "123"),
                                   field("num_inference_steps", "30"), field("scheduler", "dpmpp_2m_sde_gpu"),
                                   field("schedule", "karras"), field("guidance_scale", "4.0"),
                                   field("model", "jugger"), field("width", "1152"), field("height", "896"),
                                   field("lora", "offset:0.1"), field("rng", "cpu")));
  EXPECT_THAT(settings.hashes,
              ElementsAre(RecordedHash{"model", "jugger", "aeb7e9e689"}, RecordedHash{"lora", "offset", "2a24e9a1"}));
  EXPECT_THAT(settings.unused,
              ElementsAre(Pair("performance", "Speed"), Pair("sharpness", "2.0"), Pair("styles", "['Fooocus V2']")));
}

TEST(Settings, AreNotInOtherTexts) {
  EXPECT_FALSE(settings_of({}));
  EXPECT_FALSE(settings_of({{"parameters", "a photo of a cat"}, {"Comment", "Steps: 1, Seed: 2, Size: 3x3"}}));
  EXPECT_FALSE(settings_of({{"prompt", R"({"1": {"class_type": "SaveImage", "inputs": {}}})"}}));
  for (const char* keyword : {"prompt", "workflow", "invokeai_metadata", "parameters"})
    EXPECT_FALSE(
        settings_of({{keyword, std::string(100'000, '[')}, {keyword, "{\"a\": " + std::string(100'000, '[')}}));
}

TEST(Settings, OfGraphsInCirclesEnd) {
  json graph = comfyui();
  graph["10"]["inputs"]["model"] = {"11", 0};
  graph["5"] = node("LatentBlend", {{"samples", {"5", 0}}});
  graph["12"] = node("Text", {{"value", {"12", 0}}});
  EXPECT_EQ(of_graph(graph).program, "ComfyUI");
  graph["5"] = node("LatentUpscale", {{"samples", {"3", 0}}});
  graph["8"]["inputs"]["samples"] = {"8", 0};
  EXPECT_EQ(of_graph(graph).program, "ComfyUI");
}

class UseSettings : public testing::Test {
 protected:
  UseSettings() { setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1); }
  ~UseSettings() override { unsetenv("XDG_CACHE_HOME"); }
  void use(const PictureSettings& settings, const std::vector<FieldText>& overrides = {}) {
    request_ = {};
    engine_ = {};
    log_.clear();
    use_settings(settings, folder_ / "x.png", overrides, request_, engine_,
                 [this](LogLevel, std::string_view text) { log_.emplace_back(text); });
  }
  const TemporaryFolder folder_;
  Request request_;
  EngineOptions engine_;
  std::vector<std::string> log_;
};

TEST_F(UseSettings, SetsFieldsAndReportsTheRest) {
  PictureSettings settings{.program = "A1111",
                           .fields = {field("prompt", "a cat"), field("num_inference_steps", "7")},
                           .remarks = {"r"},
                           .unused = {{"k", "v"}, {"l", "w"}}};
  use(settings);
  EXPECT_EQ(request_.prompt, "a cat");
  EXPECT_EQ(request_.num_inference_steps, 7);
  EXPECT_EQ(request_.negative_prompt, std::nullopt);
  EXPECT_THAT(log_, ElementsAre(HasSubstr("x.png': r"), HasSubstr("no place here: k: v, l: w")));
  settings.fields.push_back(field("width", "63"));
  EXPECT_THAT(problem([&] { use(settings); }), HasSubstr("x.png' cannot be used: width is '63'"));
  use(settings, {field("width", "64")});
  EXPECT_EQ(request_.width, 64);
}

TEST_F(UseSettings, OverridesReplaceWhatContradictsThem) {
  const PictureSettings settings{.fields = {field("timesteps", "800,300"), field("num_inference_steps", "2"),
                                            field("scheduler", "dpmpp_2m"), field("schedule", "karras"),
                                            field("prompt", "p")}};
  use(settings, {field("num_inference_steps", "5"), field("scheduler", "euler")});
  EXPECT_TRUE(request_.timesteps.empty());
  EXPECT_EQ(request_.num_inference_steps, 5);
  EXPECT_EQ(request_.scheduler, "euler");
  EXPECT_EQ(request_.schedule, "");
  const PictureSettings adapters{.fields = {field("lora", "none:1"), field("lora", "nothing:1")}};
  write_file(folder_ / "mine.safetensors", "x");
  use(adapters, {field("lora", (folder_ / "mine.safetensors").string())});
  EXPECT_THAT(request_.lora, ElementsAre((folder_ / "mine.safetensors").string()));
}

TEST_F(UseSettings, FindsInputsNextToThePicture) {
  write_file(folder_ / "a.png", "content");
  PictureSettings settings{.fields = {field("init_image", "a.png")}};
  use(settings);
  EXPECT_THAT(request_.init_image, ElementsAre((folder_ / "a.png").string()));
  settings.hashes = {{"init_image", "a.png", sha256_of_file(folder_ / "a.png")}};
  use(settings);
  write_file(folder_ / "a.png", "other");
  EXPECT_THAT(problem([&] { use(settings); }), HasSubstr("was drawn with 'a.png' of the hash"));
  settings.fields = {field("init_image", "/etc/b.png")};
  EXPECT_THAT(problem([&] { use(settings); }), HasSubstr("was drawn with the init_image 'b.png', which is neither in"));
  use(settings, {field("init_image", "c.png")});
  EXPECT_THAT(request_.init_image, ElementsAre("c.png"));
}

TEST_F(UseSettings, TheDefaultModelIsFoundByItsName) {
  use({.fields = {field("model", "emoji-xl")}});
  EXPECT_EQ(engine_.model, "");
  EXPECT_THAT(problem([&] { use({.fields = {field("model", "no-such-model")}}); }), HasSubstr("no-such-model"));
}

TEST_F(UseSettings, OtherFieldsKeepTheirValues) {
  Request request{.lora = {"/a/mine:1"}, .init_image = {"/a/b.png"}};
  EngineOptions engine{.model = "/a/model", .tokenizer = "/a/tokenizer"};
  write_file(folder_ / "c.png", "x");
  use_settings({.fields = {field("prompt", "p"), field("init_image", "c.png")}}, folder_ / "x.png", {}, request,
               engine);
  EXPECT_EQ(engine.model, "/a/model");
  EXPECT_EQ(engine.tokenizer, "/a/tokenizer");
  EXPECT_THAT(request.lora, ElementsAre("/a/mine:1"));
  EXPECT_THAT(request.init_image, ElementsAre((folder_ / "c.png").string()));
}

TEST_F(UseSettings, PathsCountByTheirLastPart) {
  write_file(folder_ / "secret", "x");
  for (const std::string& path : {(folder_ / "secret").string(), std::string("../secret"), std::string("~/secret")}) {
    EXPECT_THAT(problem([&] { use({.fields = {field("model", path)}}); }), HasSubstr("'secret'")) << path;
    EXPECT_THAT(problem([&] { use({.fields = {field("lora", path + ":1")}}); }), HasSubstr("'secret'")) << path;
  }
  use({.fields = {field("scheduler_config", "/etc/hostname"), field("tokenizer", "/etc")}});
  EXPECT_EQ(request_.scheduler_config, "hostname");
  EXPECT_EQ(engine_.tokenizer, "etc");
}

TEST_F(UseSettings, FilesByAnotherNameAreFoundByTheirHash) {
  write_file(folder_ / "models/renamed.safetensors", "not a model");
  const std::string hash = hash_of(folder_ / "models/renamed.safetensors");
  const std::vector<FieldText> folders = {field("models_dir", (folder_ / "models").string())};
  PictureSettings settings{.fields = {field("model", "original")},
                           .hashes = {{"model", "original", hash.substr(0, 10)}}};
  use(settings, folders);
  EXPECT_EQ(engine_.model, (folder_ / "models/renamed.safetensors").string());
  settings.fields = {field("model", "renamed")};
  settings.hashes = {{"model", "renamed", "0123456789"}};
  EXPECT_THAT(problem([&] { use(settings, folders); }),
              HasSubstr("of the hash 0123456789, but '" + engine_.model + "' has the hash " + hash.substr(0, 10)));
}

}  // namespace
}  // namespace tempera
