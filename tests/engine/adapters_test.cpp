// Adapters in an engine: each request gives the result of a new engine, only the changed parameters are packed again,
// and jobs with different adapters can be stepped in turns.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "jobs.h"
#include "source/catalog/hash_store.h"
#include "source/default_model.h"
#include "source/model_adapter.h"
#include "source/model_source.h"
#include "support/test_files.h"

namespace tempera::test {
namespace {
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int64_t kRank = 4;

// A LoRA under kohya's names for the matrices that `is_changed` selects.
void write_lora(const std::filesystem::path& path, uint64_t seed,
                const std::function<bool(const ModelParameter&)>& is_changed) {
  std::vector<std::pair<TensorSpec, std::vector<std::byte>>> tensors;
  const auto add = [&](const std::string& name, std::vector<int64_t> dims) {
    TensorSpec spec{name, DType::f32, std::move(dims)};
    std::vector<float> values(spec.bytes() / sizeof(float));
    for (float& value : values) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      value = (static_cast<float>(seed >> 40) / static_cast<float>(1 << 24) - 0.5f) / 4;
    }
    const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
    tensors.emplace_back(std::move(spec), std::vector<std::byte>(bytes, bytes + values.size() * sizeof(float)));
  };
  const ModelSource model = open_model(default_model());
  for (const ModelParameter& parameter : adapter_parameters(model.config)) {
    if (parameter.dims.size() != 2 || !parameter.name.ends_with(".weight") || !is_changed(parameter)) continue;
    std::string module = parameter.name.substr(0, parameter.name.size() - 7);
    std::ranges::replace(module, '.', '_');
    const char* prefix = parameter.component == "unet"           ? "lora_unet_"
                         : parameter.component == "text_encoder" ? "lora_te1_"
                                                                 : "lora_te2_";
    add(prefix + module + ".lora_down.weight", {kRank, parameter.dims[1]});
    add(prefix + module + ".lora_up.weight", {parameter.dims[0], kRank});
  }
  ASSERT_FALSE(tensors.empty());
  write_safetensors(path, tensors);
}

bool in_attention(const ModelParameter& parameter) {
  return parameter.component == "unet" && parameter.name.find(".attn") != std::string::npos;
}

class AdaptersOfAnEngine : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    write_lora(*folder_ / "attention.safetensors", 1, in_attention);
    write_lora(*folder_ / "feed.safetensors", 2, [](const ModelParameter& parameter) {
      return parameter.component == "unet" && parameter.name.find(".ff.") != std::string::npos;
    });
    write_lora(*folder_ / "text.safetensors", 3, [](const ModelParameter& parameter) {
      return parameter.component != "unet" && parameter.name.find("self_attn") != std::string::npos;
    });
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string file(const std::string& name) { return (*folder_ / (name + ".safetensors")).string(); }

  static Request with(std::vector<std::string> lora, uint64_t seed = 1) {
    Request request = small_request("a red apple", seed);
    request.lora = std::move(lora);
    return request;
  }

  static std::unique_ptr<TemporaryFolder> folder_;
};
std::unique_ptr<TemporaryFolder> AdaptersOfAnEngine::folder_;

std::vector<Request> in_turn(const std::function<Request(std::vector<std::string>)>& with,
                             const std::function<std::string(std::string)>& file) {
  return {with({}),
          with({file("attention")}),
          with({file("attention") + ":0.5"}),
          with({file("attention") + ":0.5", file("feed") + ":-1.5"}),
          with({file("text") + ":1:0.75"}),
          with({file("feed") + ":-1.5", file("attention") + ":0.5"}),
          with({})};
}

TEST_F(AdaptersOfAnEngine, EachRequestIsAnsweredAsByAFreshEngine) {
  for (const char* offload : {"none", "sequential"}) {
    EngineOptions options = small_engine();
    options.offload = offload;
    Pipeline pipeline(options);
    std::vector<std::vector<Image>> pictures;
    for (const Request& request : in_turn([](auto lora) { return with(std::move(lora)); }, file)) {
      pictures.push_back(pipeline.generate(request).images);
      expect_equal(pictures.back(), alone(request, options),
                   fmt::format("{} {}", offload, fmt::join(request.lora, " ")));
    }
    expect_equal(pictures.back(), pictures.front(), "after removal");
    for (size_t i = 1; i + 1 < pictures.size(); ++i)
      EXPECT_GT(picture_difference(pictures[i][0].rgb, pictures[i - 1][0].rgb).mean, 0.1) << i;
  }
}

TEST_F(AdaptersOfAnEngine, OnlyChangedParametersArePackedAgain) {
  Engine engine(small_engine());
  size_t before = 0;
  const auto packed_by = [&](std::vector<std::string> lora) {
    Job job = engine.start(with(std::move(lora)));
    return engine.bytes_packed() - std::exchange(before, engine.bytes_packed());
  };
  const size_t all = packed_by({});
  size_t elements = 0;
  for (const ModelParameter& parameter : adapter_parameters(open_model(default_model()).config))
    if (parameter.dims.size() == 2 && parameter.name.ends_with(".weight") && in_attention(parameter))
      elements += static_cast<size_t>(parameter.dims[0] * parameter.dims[1]);
  const size_t attention = packed_by({file("attention")});
  EXPECT_GE(attention, elements * 4);  // f32, padded
  EXPECT_LT(attention, all / 2);
  EXPECT_EQ(packed_by({file("attention")}), 0u);
  EXPECT_EQ(packed_by({file("attention") + ":0.5"}), attention);
  EXPECT_EQ(packed_by({file("attention") + ":0"}), attention);
  EXPECT_EQ(packed_by({}), 0u);
  const size_t feed = packed_by({file("feed")});
  EXPECT_EQ(packed_by({file("attention")}), attention + feed);
}

TEST_F(AdaptersOfAnEngine, JobsWithDifferentAdaptersAreSteppedInTurns) {
  Engine engine(small_engine());
  const std::vector<Request> requests = {with({file("attention")}, 1), with({}, 2), with({file("attention")}, 3),
                                         with({file("feed"), file("text")}, 4)};
  std::vector<Job> jobs;
  for (const Request& request : requests) jobs.push_back(engine.start(request));
  while (!jobs.front().finished()) {
    std::vector<Job*> all;
    for (Job& job : jobs) all.push_back(&job);
    engine.step(all);
  }
  for (size_t i = 0; i < jobs.size(); ++i) expect_as_alone(finished(engine, jobs[i]), requests[i]);
}

TEST_F(AdaptersOfAnEngine, EmbeddingsKeepTheAdaptersOfTheTextEncoders) {
  const std::string embeddings = (*folder_ / "text_embeddings.safetensors").string();
  Pipeline pipeline(small_engine());
  Request request = with({file("text"), file("attention")});
  request.guidance_scale = 1;
  const Result direct = pipeline.generate(request);
  pipeline.encode(request, embeddings);
  Request embedded = small_request("", 1);
  embedded.guidance_scale = 1;
  embedded.prompt_embeds = embeddings;
  embedded.lora = {file("attention")};
  const Result result = pipeline.generate(embedded);
  EXPECT_EQ(result.images[0].rgb, direct.images[0].rgb);
  EXPECT_THAT(direct.images[0].parameters, HasSubstr("lora: \"text:1, attention:1\""));
  EXPECT_THAT(result.images[0].parameters, HasSubstr("lora: \"text:0:1, attention:0:1, attention:1:0\""));
}

TEST_F(AdaptersOfAnEngine, TheTextOfAPictureHasNamesAndKnownHashes) {
  setenv("XDG_CACHE_HOME", (*folder_ / "cache").c_str(), 1);
  EngineOptions options = small_engine();
  options.models_dir = {folder_->path().string()};
  Pipeline pipeline(options);
  const auto text = [&] { return pipeline.generate(with({"attention:0.5:0.25"})).images[0].parameters; };
  EXPECT_THAT(text(), AllOf(HasSubstr("lora: \"attention:0.5:0.25\""), Not(HasSubstr("Lora hashes"))));
  const std::string hash = hash_of(file("attention"));
  EXPECT_THAT(text(), HasSubstr("Lora hashes: \"attention: " + hash.substr(0, 10) + "\""));
  unsetenv("XDG_CACHE_HOME");
}

TEST_F(AdaptersOfAnEngine, AFileThatChangesIsReadAgain) {
  const std::string changing = file("changing");
  write_lora(changing, 5, in_attention);
  Pipeline pipeline(small_engine());
  const std::vector<Image> first = pipeline.generate(with({changing})).images;
  write_lora(changing, 6, in_attention);
  const std::vector<Image> second = pipeline.generate(with({changing})).images;
  EXPECT_NE(second[0].rgb, first[0].rgb);
  expect_equal(second, alone(with({changing})), "the new file");
}

TEST_F(AdaptersOfAnEngine, WrongValuesAreNamed) {
  Pipeline pipeline(small_engine());
  const auto message = [&](const std::string& lora) -> std::string {
    try {
      pipeline.generate(with({lora}));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message(file("attention") + ":strong"), HasSubstr("lora is '"));
  EXPECT_THAT(message(file("attention") + ":nan"), HasSubstr("weights from -100 to 100"));
  EXPECT_THAT(message(file("attention") + ":1:1e9"), HasSubstr("weights from -100 to 100"));
  EXPECT_THAT(message("./missing.safetensors:1"), HasSubstr("missing.safetensors"));
}

}  // namespace
}  // namespace tempera::test
