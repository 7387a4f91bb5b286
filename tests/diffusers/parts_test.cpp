// Every part of the model alone, on every backend, with and without passes, against the results of diffusers: for the
// small reference model, or for a model of any size for which make_parts.py was run.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <numeric>

#include "backend/reference/reference.h"
#include "models/clip.h"
#include "models/components.h"
#include "models/config_json.h"
#include "models/unet.h"
#include "models/vae.h"
#include "passes/passes.h"
#include "runtime/executable.h"
#include "support/backends.h"
#include "support/reference.h"
#include "weights/naming.h"
#include "weights/safetensors.h"

namespace tempera {
namespace {

using test::part;
using test::relative_error;
using test::to_nhwc;

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int size(const char* name, size_t dimension) {
  return static_cast<int>(part(name).dims.at(dimension));
}

struct Case {
  std::string backend;
  bool optimized;
  DType dtype;
};

class Parts : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!test::has_reference()) GTEST_SKIP() << "no reference beside the repository";
    if (!test::is_full_size()) test::forbid_tf32();
    backend_ = test::make_backend(GetParam().backend);
    queue_ = backend_->make_queue();
    for (const ComponentKind& kind : component_kinds()) {
      if (!kind.in_models()) continue;
      kind.set(config_, kind.parse(read_text(test::reference_dir() / "model" / kind.name / "config.json"), kind.name));
    }
  }

  DType dtype() const { return GetParam().dtype; }
  // The reference rounds inside fused ops in the same places as the separate ops.
  bool rounds_fused() const { return GetParam().optimized && GetParam().backend != "reference"; }
  // Full-size convolutions use TF32, like those of PyTorch.
  double bar(double bf16 = 2e-2) const {
    const bool full = test::is_full_size();
    if (dtype() == DType::f32) return full ? 1e-3 : 1e-4;
    if (dtype() == DType::f16 && full) return 1e-2;
    return dtype() == DType::f16 ? 5e-3 : bf16;
  }

  static std::shared_ptr<const Checkpoint> weights(std::string_view component) {
    const std::string file = std::string(component_kind(component).weights_stem()) + ".safetensors";
    return with_canonical_names(std::make_shared<SafetensorsFile>(test::reference_dir() / "model" / component / file),
                                component);
  }

  Executable& load(Graph graph, std::shared_ptr<const Checkpoint> checkpoint) {
    executable_.reset();  // it refers to the checkpoint
    checkpoint_ = std::move(checkpoint);
    if (GetParam().optimized) graph = optimize(std::move(graph));
    Program program = lower(graph, backend_->target());
    executable_.emplace(std::move(program), *backend_, *queue_, *checkpoint_);
    (*executable_)->load();
    return **executable_;
  }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Queue> queue_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::optional<LoneExecutable> executable_;
  ModelConfig config_;
};

std::vector<int32_t> first_ids(const std::string& name, size_t rows) {
  const test::Part ids = part(name);
  return {ids.values.begin(), ids.values.begin() + static_cast<std::ptrdiff_t>(rows * 77)};
}

void write_tokens(Executable& e, const std::vector<int32_t>& ids) {
  std::vector<int32_t> positions(77);
  std::iota(positions.begin(), positions.end(), 0);
  e.write_input("ids", DType::i32, std::as_bytes(std::span(ids)));
  e.write_input("positions", DType::i32, std::as_bytes(std::span(positions)));
}

TEST_P(Parts, TextEncoder) {
  Executable& e = load(clip_text_graph(*config_.text_encoder, {.batch = 3, .dtype = dtype()}), weights("text_encoder"));
  const std::vector<int32_t> ids = first_ids("tokens_1", 3);
  write_tokens(e, ids);
  e.run();
  EXPECT_LE(relative_error(e.read_output("hidden.0"), part("te1_penultimate").values), bar());
}

TEST_P(Parts, TextEncoder2) {
  Executable& e = load(clip_text_graph(config_.text_encoder_2, {.batch = 3, .pooled = true, .dtype = dtype()}),
                       weights("text_encoder_2"));
  const std::vector<int32_t> ids = first_ids("tokens_2", 3);
  std::vector<int32_t> eos;
  for (size_t row = 0; row < 3; ++row)
    eos.push_back(static_cast<int32_t>(std::max_element(&ids[row * 77], &ids[row * 77] + 77) - &ids[row * 77]));
  write_tokens(e, ids);
  e.write_input("eos", DType::i32, std::as_bytes(std::span(eos)));
  e.run();
  EXPECT_LE(relative_error(e.read_output("hidden.0"), part("te2_penultimate").values), bar());
  EXPECT_LE(relative_error(e.read_output("pooled"), part("te2_pooled").values), bar());
}

TEST_P(Parts, Unet) {
  Executable& e =
      load(unet_graph(config_.unet,
                      {.batch = 2, .height = size("unet_in", 2), .width = size("unet_in", 3), .dtype = dtype()}),
           weights("unet"));
  const auto both = [](const char* negative, const char* positive) {
    std::vector<float> values = part(negative).values;
    const std::vector<float> second = part(positive).values;
    values.insert(values.end(), second.begin(), second.end());
    return values;
  };
  e.write_input("encoder_hidden_states", both("negative_prompt_embeds", "prompt_embeds"));
  e.write_input("text_embeds", both("negative_pooled_prompt_embeds", "pooled_prompt_embeds"));
  e.write_input("time_ids", part("unet_time_ids").values);
  e.write_input("timestep", part("unet_timestep").values);
  e.write_input("sample", to_nhwc(part("unet_in")));
  e.run_prologue();
  e.run();
  EXPECT_LE(relative_error(e.read_output("sample"), to_nhwc(part("unet_out"))), bar(rounds_fused() ? 2e-2 : 2.5e-2));
}

TEST_P(Parts, VaeDecoder) {
  Executable& e = load(vae_decoder_graph(config_.vae, {.batch = size("vae_latent", 0),
                                                       .height = size("vae_latent", 2),
                                                       .width = size("vae_latent", 3),
                                                       .dtype = dtype(),
                                                       .pixels = PixelFormat::float32}),
                       weights("vae"));
  e.write_input("latent", to_nhwc(part("vae_latent")));
  e.run();
  EXPECT_LE(relative_error(e.read_output("image"), to_nhwc(part("vae_decoded"))), bar());
}

TEST_P(Parts, VaeEncoder) {
  Executable& e = load(
      vae_encoder_graph(config_.vae, {.height = size("vae_mean", 2), .width = size("vae_mean", 3), .dtype = dtype()}),
      weights("vae"));
  e.write_input("image", to_nhwc(part("vae_image")));
  e.run();
  const std::vector<float> mean = to_nhwc(part("vae_mean")), logvar = to_nhwc(part("vae_logvar"));
  std::vector<float> expected;
  for (size_t p = 0; p < mean.size() / 4; ++p) {
    expected.insert(expected.end(), &mean[p * 4], &mean[p * 4] + 4);
    expected.insert(expected.end(), &logvar[p * 4], &logvar[p * 4] + 4);
  }
  // In bf16 2.2e-2 with fused ops, and 3.0e-2 if every node rounds.
  EXPECT_LE(relative_error(e.read_output("moments"), expected), bar(3.5e-2));
}

TEST_P(Parts, TinyVae) {
  const auto folder = test::reference_dir() / "taesd";
  const TinyVaeConfig config = parse_tiny_vae_config(read_text(folder / "config.json"), "taesd");
  const auto file = std::make_shared<const SafetensorsFile>(folder / "diffusion_pytorch_model.safetensors");
  Executable& decoder = load(tiny_vae_decoder_graph(config, {.batch = size("vae_latent", 0),
                                                             .height = size("vae_latent", 2),
                                                             .width = size("vae_latent", 3),
                                                             .dtype = dtype(),
                                                             .pixels = PixelFormat::float32}),
                             file);
  decoder.write_input("latent", to_nhwc(part("vae_latent")));
  decoder.run();
  EXPECT_LE(relative_error(decoder.read_output("image"), to_nhwc(part("tae_decoded"))), bar());

  Executable& encoder =
      load(tiny_vae_encoder_graph(
               config, {.height = size("tae_encoded", 2), .width = size("tae_encoded", 3), .dtype = dtype()}),
           file);
  encoder.write_input("image", to_nhwc(part("vae_image")));
  encoder.run();
  EXPECT_LE(relative_error(encoder.read_output("latent"), to_nhwc(part("tae_encoded"))), bar());
}

// Empty if the backend is not available.
std::vector<Case> cases(const std::string& backend) {
  std::vector<Case> all;
  const std::vector<std::string> there = test::backend_names();
  if (std::ranges::find(there, backend) == there.end()) return all;
  for (const bool optimized : {false, true})
    for (const DType dtype : test::compute_dtypes(backend)) all.push_back({backend, optimized, dtype});
  return all;
}

std::string name_of(const ::testing::TestParamInfo<Case>& param_info) {
  const Case& c = param_info.param;
  return c.backend + (c.optimized ? "_optimized_" : "_eager_") + std::string(name(c.dtype));
}

// The reference needs minutes: ctest runs it with the label "slow".
INSTANTIATE_TEST_SUITE_P(Slow, Parts, ::testing::ValuesIn(cases("reference")), name_of);
INSTANTIATE_TEST_SUITE_P(Fast, Parts, ::testing::ValuesIn(cases("cpu")), name_of);
INSTANTIATE_TEST_SUITE_P(Card, Parts, ::testing::ValuesIn(cases("cuda")), name_of);

}  // namespace
}  // namespace tempera
