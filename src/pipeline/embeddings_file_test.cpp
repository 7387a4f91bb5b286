// Embeddings survive the file bit by bit, and a file that is none for this model is refused in one sentence.
#include "pipeline/embeddings_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/half.h"
#include "support/test_files.h"
#include "weights/safetensors.h"

namespace tempera {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

constexpr int kTokens = 5;

std::vector<float> ramp(size_t count, float first) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = first + 0.1f * static_cast<float>(i);
  return values;
}

class Embeddings : public testing::Test {
 protected:
  PromptRow row(float first) const {
    return {ramp(size_t{kTokens} * size_t(model_.unet.cross_attention_dim), first),
            ramp(size_t(pooled_width(model_)), -first)};
  }

  using Tensor = std::pair<TensorSpec, std::vector<std::byte>>;
  static Tensor tensor(const std::string& name, std::vector<int64_t> dims, DType dtype = DType::f32, float value = 1) {
    TensorSpec spec{name, dtype, std::move(dims)};
    std::vector<std::byte> bytes(spec.bytes());
    for (size_t i = 0; i < bytes.size(); i += size_of(dtype)) convert(&value, DType::f32, &bytes[i], dtype, 1);
    return {spec, bytes};
  }
  // A correct file, except for the values in `wrong`.
  std::string problem(const std::vector<Tensor>& wrong) {
    std::vector<Tensor> all = {tensor("prompt_embeds", {1, 77, 96}), tensor("pooled_prompt_embeds", {1, 64})};
    for (const Tensor& replacement : wrong) {
      std::erase_if(all, [&](const Tensor& t) { return t.first.name == replacement.first.name; });
      if (!replacement.first.dims.empty()) all.push_back(replacement);
    }
    write_safetensors(file_, all);
    return bad_file_message([&] { read_embeddings(file_, model_); });
  }

  TemporaryFolder folder_;
  fs::path file_ = folder_ / "e.safetensors";
  ModelConfig model_ = preset("tiny");
};

TEST_F(Embeddings, SurviveTheFile) {
  Request request;
  request.prompt = "\"a\" red\napple, ä";
  request.negative_prompt = "";
  request.clip_skip = 1;
  write_embeddings(file_, {row(0.3f), row(-7)}, kTokens, request);
  const EmbeddingsFile read = read_embeddings(file_, model_);
  EXPECT_EQ(read.tokens, kTokens);
  EXPECT_EQ(read.embeddings.positive.hidden, row(0.3f).hidden);
  EXPECT_EQ(read.embeddings.positive.pooled, row(0.3f).pooled);
  EXPECT_EQ(read.embeddings.negative->hidden, row(-7).hidden);
  EXPECT_EQ(read.embeddings.negative->pooled, row(-7).pooled);
  EXPECT_EQ(read.prompt, request.prompt);
  EXPECT_EQ(read.prompt_2, std::nullopt);
  EXPECT_EQ(read.negative_prompt, "");
  EXPECT_EQ(read.clip_skip, 1);
  EXPECT_EQ(SafetensorsFile(file_).get("negative_prompt_embeds").dims, (std::vector<int64_t>{1, kTokens, 96}));
}

TEST_F(Embeddings, PromptsThatAreNoTextAreKeptAsTextIsMadeOfThem) {
  Request request;
  request.prompt = "caf\xe9";
  write_embeddings(file_, {row(1), {}}, kTokens, request);
  EXPECT_EQ(read_embeddings(file_, model_).prompt, "caf\xef\xbf\xbd");
}

TEST_F(Embeddings, OfOtherProgramsAreRead) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    EXPECT_EQ(problem({tensor("prompt_embeds", {154, 96}, dtype, 0.5f), tensor("pooled_prompt_embeds", {64}, dtype)}),
              "");
    const EmbeddingsFile read = read_embeddings(file_, model_);
    EXPECT_EQ(read.tokens, 154);
    EXPECT_EQ(read.embeddings.positive.hidden, std::vector<float>(154 * 96, 0.5f));
    EXPECT_FALSE(read.embeddings.negative);
    EXPECT_EQ(read.prompt, "");
  }
}

TEST_F(Embeddings, ThatDoNotFitAreRefused) {
  EXPECT_THAT(problem({tensor("prompt_embeds", {})}),
              AllOf(HasSubstr("no prompt_embeds"), HasSubstr("give prompt_embeds a file")));
  EXPECT_THAT(problem({tensor("pooled_prompt_embeds", {})}), HasSubstr("no pooled_prompt_embeds"));
  EXPECT_THAT(problem({tensor("prompt_embeds", {1, 77, 2048})}),
              AllOf(HasSubstr("1x77x2048"), HasSubstr("1xTx96"), HasSubstr("another model")));
  EXPECT_THAT(problem({tensor("prompt_embeds", {96})}), HasSubstr("1xTx96"));
  EXPECT_THAT(problem({tensor("prompt_embeds", {1, 4097, 96})}), HasSubstr("1x4097x96"));
  EXPECT_THAT(problem({tensor("prompt_embeds", {2, 77, 96})}), HasSubstr("2 prompts"));
  EXPECT_THAT(problem({tensor("pooled_prompt_embeds", {1, 65})}), HasSubstr("1x64"));
  EXPECT_THAT(problem({tensor("negative_prompt_embeds", {1, 77, 96})}), HasSubstr("no negative_pooled_prompt_embeds"));
  EXPECT_THAT(
      problem({tensor("negative_prompt_embeds", {1, 76, 96}), tensor("negative_pooled_prompt_embeds", {1, 64})}),
      HasSubstr("number of tokens"));
  EXPECT_THAT(problem({tensor("prompt_embeds", {1, 77, 96}, DType::f32, std::nanf(""))}), HasSubstr("no numbers"));
  const TensorSpec integers_spec{"prompt_embeds", DType::i32, {1, 77, 96}};
  const Tensor integers = {integers_spec, std::vector<std::byte>(integers_spec.bytes())};
  EXPECT_THAT(problem({integers}), HasSubstr("I32"));
  EXPECT_THAT(problem({tensor("prompt_embeds", {0, 96})}), HasSubstr("0x96"));
}

}  // namespace
}  // namespace tempera
