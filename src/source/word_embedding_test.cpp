// Embeddings of words in every form of file, and files that are refused.
#include "source/word_embedding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/half.h"
#include "support/test_files.h"
#include "weights/safetensors.h"

namespace tempera {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr size_t kFirst = 768, kSecond = 1280;  // widths of SDXL's text encoders

struct Vectors {
  std::string name;
  std::vector<int64_t> dims;
  DType dtype = DType::f32;
  float first = 0.25f;  // the i-th element is first + i / 8, exact in every type
};

float element(const Vectors& v, size_t i) {
  return v.first + static_cast<float>(i % 64) / 8;
}

class Words : public testing::Test {
 protected:
  void write(const std::vector<Vectors>& list) const {
    std::vector<std::pair<TensorSpec, std::vector<std::byte>>> tensors;
    for (const Vectors& v : list) {
      TensorSpec spec{v.name, v.dtype, v.dims};
      std::vector<std::byte> bytes(spec.bytes());
      for (size_t i = 0; i < bytes.size() / size_of(v.dtype); ++i) {
        const float value = element(v, i);
        if (v.dtype == DType::f32 || v.dtype == DType::f16 || v.dtype == DType::bf16)
          convert(&value, DType::f32, &bytes[i * size_of(v.dtype)], v.dtype, 1);
      }
      tensors.emplace_back(std::move(spec), std::move(bytes));
    }
    write_safetensors(file_, tensors);
  }
  std::vector<WordEmbedding> open(std::vector<std::string> values) const {
    Request request;
    request.textual_inversion = std::move(values);
    return open_words({}, request, model_);
  }
  WordEmbedding opened(const std::vector<Vectors>& list) const {
    write(list);
    return open({file_}).at(0);
  }
  std::string problem(const std::vector<Vectors>& list) const {
    return bad_file_message([&] { opened(list); });
  }

  TemporaryFolder folder_;
  fs::path file_ = folder_ / "MyStyle.safetensors";
  ModelConfig model_ = preset("sdxl-base");
};

void expect_values(const std::vector<float>& values, const Vectors& v, size_t size) {
  ASSERT_EQ(values.size(), size);
  for (size_t i = 0; i < size; ++i) ASSERT_EQ(values[i], element(v, i)) << i;
}

TEST_F(Words, OfBothEncodersInEveryType) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    const Vectors first{"clip_l", {3, 768}, dtype}, second{"clip_g", {2, 1280}, dtype, -2};
    const WordEmbedding word = opened({second, first});
    EXPECT_EQ(word.word, "MyStyle") << "the stem of the file";
    EXPECT_EQ(word.file, file_);
    EXPECT_EQ(word.count, (std::array<int, 2>{3, 2}));
    expect_values(word.vectors[0], first, 3 * kFirst);
    expect_values(word.vectors[1], second, 2 * kSecond);
  }
}

TEST_F(Words, OfEveryForm) {
  const auto counts = [&](const std::vector<Vectors>& list) { return opened(list).count; };
  using Counts = std::array<int, 2>;
  EXPECT_EQ(counts({{"clip_l", {768}}}), (Counts{1, 0}));
  EXPECT_EQ(counts({{"clip_g", {1280}}, {"clip_l", {768}}}), (Counts{1, 1}));
  EXPECT_EQ(counts({{"text_encoders_0", {2, 768}}, {"text_encoders_1", {2, 1280}}}), (Counts{2, 2}));
  EXPECT_EQ(counts({{"emb_params", {4, 768}}}), (Counts{4, 0})) << "A1111, Stable Diffusion 1";
  EXPECT_EQ(counts({{"emb_params", {4, 1280}}}), (Counts{0, 4}));
  EXPECT_EQ(counts({{"string_to_param.*", {5, 768}}, {"string_to_token.*", {}, DType::i64}}), (Counts{5, 0}));
  EXPECT_EQ(counts({{"<cat-toy>", {768}}}), (Counts{1, 0})) << "diffusers";
  EXPECT_EQ(counts({{"<cat-toy>", {75, 1280}}}), (Counts{0, 75}));
  model_.text_encoder.reset();  // the refiner
  EXPECT_EQ(counts({{"clip_g", {1, 1280}}, {"clip_l", {1, 768}}}), (Counts{0, 1}));
  EXPECT_THAT(problem({{"clip_l", {1, 768}}}), HasSubstr("for a text encoder that this model does not have"));
}

TEST_F(Words, WordsAndNames) {
  write({{"clip_l", {768}}});
  EXPECT_EQ(open({file_.string() + ":other word"})[0].word, "other word");
  fs::copy_file(file_, folder_ / "b.safetensors");
  const auto two = open({file_.string(), (folder_ / "b.safetensors").string() + ":x"});
  EXPECT_EQ(two[0].word, "MyStyle");
  EXPECT_EQ(two[1].word, "x");
  EXPECT_NE(two[0].identity, two[1].identity);
  EngineOptions engine;
  engine.models_dir = {folder_.path()};
  Request request;
  request.textual_inversion = {"mystyle", "B:y"};
  const auto named = open_words(engine, request, model_);
  EXPECT_EQ(named[0].word, "MyStyle");
  EXPECT_EQ(named[1].word, "y");
  EXPECT_EQ(named[1].file, folder_ / "b.safetensors");
  for (const char* bad : {"", ":x", "mystyle:"}) EXPECT_THROW(open({bad}), Error) << bad;
}

TEST_F(Words, OneIdentityForEachWordAndItsVectors) {
  const Vectors plain{"clip_l", {2, 768}};
  const uint64_t identity = opened({plain}).identity;
  EXPECT_EQ(opened({plain}).identity, identity);
  Vectors other = plain;
  other.first = 0.5f;
  EXPECT_NE(opened({other}).identity, identity);
  other = plain;
  other.name = "x";
  EXPECT_EQ(opened({other}).identity, identity) << "the same vectors in another form";
}

TEST_F(Words, InsideALora) {
  write({{"bundle_emb.cat.clip_l", {2, 768}}, {"bundle_emb.dog.clip_g", {3, 1280}}, {"lora_unet_x.alpha", {}}});
  const SafetensorsFile lora(file_);
  const auto read = [&](const char* prefix) { return read_word_embedding(lora, "F", prefix, "w", model_); };
  EXPECT_EQ(read("bundle_emb.cat.").count, (std::array<int, 2>{2, 0}));
  EXPECT_EQ(read("bundle_emb.dog.").count, (std::array<int, 2>{0, 3}));
  EXPECT_TRUE(read("bundle_emb.dog.").file.empty());
  EXPECT_THAT(bad_file_message([&] { read("bundle_emb.bird."); }), HasSubstr("'F' has no vectors"));
}

TEST_F(Words, FilesThatAreRefused) {
  const std::string name = "MyStyle.safetensors'";
  EXPECT_THAT(problem({{"emb_params", {4, 1024}}}),
              AllOf(HasSubstr(name), HasSubstr("is 4x1024, expected vectors of 768 or 1280 elements"),
                    HasSubstr("is a textual inversion embedding for Stable Diffusion 2, give textual_inversion one")));
  EXPECT_THAT(problem({{"clip_l", {1, 1280}}}), HasSubstr("is 1x1280, expected vectors of 768 elements"));
  EXPECT_THAT(problem({{"x", {1, 33}}}), HasSubstr("an embedding of another model"));
  EXPECT_THAT(problem({{"clip_l", {1, 1, 768}}}), HasSubstr("is 1x1x768, expected vectors"));
  EXPECT_THAT(problem({{"clip_l", {}}}), HasSubstr("is scalar, expected vectors"));
  EXPECT_THAT(problem({{"clip_l", {0, 768}}}), HasSubstr("has 0 vectors"));
  EXPECT_THAT(problem({{"clip_l", {76, 768}}}), AllOf(HasSubstr("has 76 vectors"), HasSubstr("of 1 to 75")));
  EXPECT_THAT(problem({{"clip_l", {1, 768}, DType::i32}}), HasSubstr("is of type i32"));
  EXPECT_THAT(problem({{"string_to_token.*", {}, DType::i64}}), HasSubstr("has no vectors"));
  EXPECT_THAT(problem({}), HasSubstr("has no vectors"));
  EXPECT_THAT(problem({{"clip_l", {1, 768}}, {"clip_l_out", {1, 768}}}),
              HasSubstr("'clip_l_out' in '" + file_.string() + "' is not part of an embedding"));
  EXPECT_THAT(problem({{"clip_l", {1, 768}}, {"emb_params", {1, 768}}}),
              HasSubstr("has several tensors for one text encoder"));
  EXPECT_THAT(problem({{"lora_te2_x.lora_down.weight", {1, 1}}}), HasSubstr("is a LoRA for SDXL: give"));
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    EXPECT_THAT(problem({{"clip_l", {1, 768}, DType::f16, bad}}), HasSubstr("has values that are not finite"));
}

TEST_F(Words, PicklesAreRefusedWithTheRemedy) {
  const fs::path pickle = folder_ / "MyStyle.pt";
  write_file(pickle, "PK\x03\x04 and the rest of an archive");
  EXPECT_THAT(bad_file_message([&] { open({pickle}); }), AllOf(HasSubstr("is a pickle"), HasSubstr("convert it")));
  EXPECT_THAT(bad_file_message([&] { open({folder_ / "none.safetensors"}); }), HasSubstr("none.safetensors"));
}

}  // namespace
}  // namespace tempera
