// A picture that is drawn from the settings of another picture is the same picture: equal pixels and equal text. The
// requests are random, with a fixed seed, over all kinds of fields. Each picture is written to a file and its settings
// are read from there.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <random>

#include "input_pictures.h"
#include "support/test_files.h"
#include "tempera/settings.h"
#include "tempera/tempera.h"

namespace tempera::test {
namespace {

constexpr int kRequests = 50, kQuickRequests = 8;

// A LoRA of one matrix of the embedded model.
void write_lora(const std::filesystem::path& path, float value) {
  const std::string module = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q";
  std::vector<std::pair<TensorSpec, std::vector<std::byte>>> tensors;
  for (TensorSpec spec : {TensorSpec{module + ".lora_down.weight", DType::f32, {2, 128}},
                          TensorSpec{module + ".lora_up.weight", DType::f32, {128, 2}}}) {
    const std::vector<float> values(spec.bytes() / sizeof(float), value);
    const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
    tensors.emplace_back(std::move(spec), std::vector<std::byte>(bytes, bytes + values.size() * sizeof(float)));
  }
  write_safetensors(path, tensors);
}

// An embedding of one vector for the first text encoder.
void write_embedding(const std::filesystem::path& path) {
  const std::vector<float> values(64, 0.25F);
  const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
  write_safetensors(path, {{TensorSpec{"clip_l", DType::f32, {1, 64}}, {bytes, bytes + 64 * sizeof(float)}}});
}

class RandomRequests {
 public:
  // `pictures`: a folder with picture-0.png, picture-1.png, mask.png and latents.safetensors.
  RandomRequests(EngineOptions engine, std::filesystem::path pictures)
      : engine_(std::move(engine)), pictures_(std::move(pictures)) {}

  struct Drawn {
    Request request;
    EngineOptions engine;
  };

  // The next request that is possible. Samplers refuse some schedules, timesteps and sigmas.
  Drawn next() {
    while (true) {
      Drawn drawn = propose();
      try {
        plan(drawn.engine, drawn.request);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << error.what();
        continue;
      }
      for (const Field& field : request_fields()) {
        const auto value = field.get(drawn.request, drawn.engine);
        if (value != field.get(Request(), engine_)) ++uses[std::string(field.name)];
      }
      return drawn;
    }
  }

  std::map<std::string, int> uses;  // by field: requests in which it is not the default

 private:
  bool chance(int percent) { return static_cast<int>(random_() % 100) < percent; }
  int below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }
  double fraction() { return static_cast<double>(random_()) / static_cast<double>(UINT32_MAX); }
  template <class Choices>
  auto one_of(const Choices& choices) {
    return *(std::begin(choices) + below(static_cast<int>(std::size(choices))));
  }

  std::string text() {
    static const std::vector<std::string> kPieces = {"a red apple",
                                                     "blue",
                                                     " ",
                                                     "\n",
                                                     "  ",
                                                     ",",
                                                     ": ",
                                                     "\"",
                                                     "\\",
                                                     "Negative prompt: no",
                                                     "\xC3\xA4",
                                                     "\t",
                                                     "(cat)",
                                                     "<lora:x:1>",
                                                     "[a]",
                                                     "BREAK",
                                                     "Steps: 4, Sampler: Euler, Seed: 1",
                                                     "{",
                                                     "}",
                                                     "\xF0\x9F\x8D\x8E",
                                                     "\r\n",
                                                     "Version: tempera 9"};
    std::string result;
    for (int i = below(7); i > 0; --i) result += one_of(kPieces);
    return result;
  }

  Drawn propose() {
    Request r;
    EngineOptions e = engine_;
    r.prompt = text();
    if (chance(30)) r.prompt_2 = text();
    if (chance(60)) r.negative_prompt = text();
    if (chance(15)) r.negative_prompt_2 = text();
    r.width = 64 + 8 * below(4);
    r.height = 64 + 8 * below(4);
    r.seed = (static_cast<uint64_t>(random_()) << (chance(50) ? 32 : 0)) + random_();
    if (chance(40)) r.rng = "cuda";
    if (chance(15)) r.num_images_per_prompt = 2;
    if (chance(80)) r.guidance_scale = chance(20) ? 1.0 : fraction() * 9;
    if (chance(30)) r.guidance_rescale = fraction();
    if (chance(30)) r.clip_skip = below(2);
    if (chance(20)) r.original_size = {{below(900) + 1, below(900) + 1}};
    if (chance(20)) r.target_size = {{r.width, below(900) + 1}};
    if (chance(20)) r.crops_coords_top_left = {below(99), below(99)};
    choose_steps(r);
    choose_files(r);
    choose_pictures(r);
    choose_engine(e);
    return {r, e};
  }

  void choose_steps(Request& r) {
    static const std::vector<std::string_view> kSamplers = scheduler_list();
    static const std::vector<std::string> kSchedules = {"karras", "Exponential", "sgm_uniform", "simple",
                                                        "beta",   "normal",      "Automatic",   "ddim_uniform"};
    if (chance(90)) r.scheduler = one_of(kSamplers);
    if (chance(40)) r.schedule = one_of(kSchedules);
    if (r.scheduler.empty() && chance(50))
      r.scheduler_config = R"({"_class_name": "EulerDiscreteScheduler", "prediction_type": "v_prediction"})";
    if (chance(30)) r.eta = fraction();
    switch (below(6)) {
      case 0:
        r.timesteps = {900 - below(99), 500, below(99)};
        break;
      case 1:
        r.sigmas = {10 + fraction(), 1.0 / 3, 0};
        break;
      default:
        r.num_inference_steps = 2 + below(3);
    }
    if (chance(15)) r.denoising_end = 0.5 + fraction() / 2;
  }

  void choose_files(Request& r) {
    static const std::vector<std::string> kNames = {"plain", "od, d", "a: b", "[x]", "\xC3\xA4 \"q\"", "1.5"};
    while (chance(30)) r.lora.push_back(fmt::format("{}:{}", one_of(kNames), fraction() - 0.5));
    if (!r.lora.empty() && chance(40)) r.lora.back() += fmt::format(":{}", fraction());
    if (chance(20)) r.textual_inversion = {chance(50) ? "word" : "word:<my, word>"};
  }

  // Half of the requests start from a picture, latents or noise of a file; some have a second pass.
  void choose_pictures(Request& r) {
    const auto file = [&](const char* name) { return (pictures_ / name).string(); };
    if (chance(15)) {
      r.latents = file("latents.safetensors");
      r.width = r.height = 0;
      if (chance(50)) r.strength = 0.5 + fraction() / 2;
      if (chance(50)) r.latents_index = below(2);
    } else if (chance(50)) {
      r.init_image.push_back(file("picture-0.png"));
      if (chance(30)) r.init_image.push_back(file("picture-1.png"));
      if (chance(60)) r.strength = 0.5 + fraction() / 2;
      if (chance(30)) r.width = r.height = 0;
      if (chance(30)) r.resize_mode = chance(50) ? "crop" : "fill";
      if (chance(60)) choose_mask(r, file("mask.png"));
      if (chance(25)) r.extend = {8, 0, 16, 8};
    }
    if (chance(15)) {
      if (chance(50))
        r.hires_scale = 1.5;
      else
        r.hires_size = {{96, 104}};
      static const std::vector<std::string> kUpscalers = {"latent-nearest", "latent-bilinear", "latent-bicubic",
                                                          "lanczos"};
      r.hires_upscaler = one_of(kUpscalers);
      r.hires_strength = 0.5 + fraction() / 2;
      if (chance(50)) r.hires_steps = 2 + below(3);
    }
  }

  void choose_mask(Request& r, const std::string& file) {
    r.mask_image = {file};
    if (chance(30)) r.mask_mode = "soft";
    if (chance(50)) r.mask_blur = 1 + below(4);
    if (chance(30)) r.padding_mask_crop = below(9);
    if (chance(40)) r.inpaint_fill = chance(50) ? "noise" : "blur";
    if (chance(60)) r.paste = chance(50) ? "on" : "off";
  }

  void choose_engine(EngineOptions& e) {
    if (chance(20)) e.tiny_vae = "model";
    if (chance(15)) e.vae_tile_size = 64;
    if (chance(15)) e.eager = true;
    if (chance(15)) e.attention = "naive";
    if (chance(10)) e.vae_dtype = "fp32";
  }

  EngineOptions engine_;
  std::filesystem::path pictures_;
  std::mt19937 random_{20};
};

class RoundTrip : public testing::Test {
 protected:
  RoundTrip() {
    setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);
    float value = 0.01F;
    for (const char* name : {"plain", "od, d", "a: b", "[x]", "\xC3\xA4 \"q\"", "1.5"})
      write_lora(folder_ / "models/loras" / (std::string(name) + ".safetensors"), value += 0.02F);
    write_embedding(folder_ / "models/embeddings/word.safetensors");
    save_picture(folder_ / "picture-0.png", waves(72, 64, 5));
    save_picture(folder_ / "picture-1.png", waves(100, 90, 9));
    save_picture(folder_ / "mask.png", disc(72, 64));
    const Request latents{.prompt = "a pear",
                          .width = 72,
                          .height = 64,
                          .num_inference_steps = 2,
                          .seed = 3,
                          .num_images_per_prompt = 2,
                          .output_type = "latent"};
    save_latents(folder_ / "latents.safetensors", Pipeline(engine()).generate(latents).images);
  }
  ~RoundTrip() override { unsetenv("XDG_CACHE_HOME"); }

  EngineOptions engine() const {
    return {.models_dir = {(folder_ / "models").string()}, .device = "cpu", .dtype = "fp32"};
  }

  // The picture that is drawn from the settings in the file of `image`.
  Image drawn_again(const Image& image, const std::string& extension) {
    const std::filesystem::path path = folder_ / ("picture" + extension);
    save_picture(path, image);
    Request request;
    EngineOptions options;
    const std::vector<FieldText> given = {{"models_dir", (folder_ / "models").string()}, {"device", "cpu"}};
    use_settings(read_settings(path), path, given, request, options,
                 [](LogLevel, std::string_view text) { ADD_FAILURE() << text; });
    return Pipeline(options).generate(request).images.at(0);
  }

  void check(int first, int last) {
    RandomRequests requests(engine(), folder_.path());
    const std::array<std::string, 3> extensions = {".png", ".jpg", ".webp"};
    for (int i = 0; i < last; ++i) {
      const RandomRequests::Drawn drawn = requests.next();
      if (i < first) continue;
      const Image image = Pipeline(drawn.engine).generate(drawn.request).images.back();
      const Image again = drawn_again(image, extensions[static_cast<size_t>(i) % extensions.size()]);
      EXPECT_EQ(again.parameters, image.parameters) << "request " << i;
      EXPECT_EQ(again.width, image.width) << "request " << i;
      EXPECT_TRUE(again.rgb == image.rgb) << "request " << i << ": " << image.parameters;
    }
    uses_ = requests.uses;
  }

  TemporaryFolder folder_;
  std::map<std::string, int> uses_;
};

TEST_F(RoundTrip, AFewRandomRequests) {
  check(0, kQuickRequests);
}

TEST_F(RoundTrip, SlowRandomRequests) {
  check(kQuickRequests, kRequests);
  for (const char* field : {"prompt_2",
                            "negative_prompt",
                            "negative_prompt_2",
                            "rng",
                            "num_images_per_prompt",
                            "guidance_rescale",
                            "clip_skip",
                            "original_size",
                            "target_size",
                            "crops_coords_top_left",
                            "scheduler",
                            "scheduler_config",
                            "schedule",
                            "timesteps",
                            "sigmas",
                            "eta",
                            "denoising_end",
                            "lora",
                            "textual_inversion",
                            "init_image",
                            "mask_image",
                            "strength",
                            "latents",
                            "latents_index",
                            "resize_mode",
                            "mask_mode",
                            "mask_blur",
                            "padding_mask_crop",
                            "inpaint_fill",
                            "extend",
                            "paste",
                            "hires_scale",
                            "hires_size",
                            "hires_strength",
                            "hires_steps",
                            "hires_upscaler",
                            "tiny_vae",
                            "vae_tile_size",
                            "eager",
                            "attention",
                            "vae_dtype"})
    EXPECT_GT(uses_[field], 0) << field;
}

}  // namespace
}  // namespace tempera::test
