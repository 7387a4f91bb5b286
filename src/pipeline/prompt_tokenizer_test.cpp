// Inputs of a text encoder for texts with words of textual inversion.
#include "pipeline/prompt_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace tempera {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int kTable = 800;  // rows; the vocabulary has 778 tokens
constexpr size_t kWidth = 2;

PromptTokenizer tokenizer(size_t encoder = 0, int eos_token_id = 2) {
  const ClipConfig clip{.vocab_size = kTable, .hidden_size = kWidth, .eos_token_id = eos_token_id};
  return {Tokenizer::from_folder(std::filesystem::path(TEMPERA_TEST_DATA) / "text" / "two_files"), clip, encoder};
}

WordEmbedding word(std::string text, std::vector<float> first, std::vector<float> second, uint64_t identity) {
  WordEmbedding w;
  w.word = std::move(text);
  w.count = {static_cast<int>(first.size() / kWidth), static_cast<int>(second.size() / kWidth)};
  w.vectors = {std::move(first), std::move(second)};
  w.identity = identity;
  return w;
}

const std::vector<WordEmbedding> kWords = {word("zqstyle", {1, 2, 3, 4}, {5, 6}, 10), word("zqbad", {7, 8}, {}, 11)};

// The ids of the text alone.
std::vector<int32_t> ids_of(const PromptTokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.inputs(text).ids;
  const auto end = std::ranges::find(ids, tokenizer.tokenizer().eos());
  return {ids.begin() + 1, end};
}

std::vector<float> rows(const PromptTokenizer::Inputs& inputs, size_t count) {
  for (size_t i = count * kWidth; i < inputs.extra.size(); ++i) EXPECT_EQ(inputs.extra[i], 0) << "unused rows";
  return {inputs.extra.begin(), inputs.extra.begin() + static_cast<std::ptrdiff_t>(count * kWidth)};
}

TEST(PromptTokenizer, WithoutWordsThereAreNoRows) {
  const auto inputs = tokenizer().inputs("a red zqstyle");
  EXPECT_THAT(inputs.extra, IsEmpty());
  EXPECT_THAT(inputs.used, IsEmpty());
  EXPECT_EQ(inputs.identity, 0u);
}

TEST(PromptTokenizer, RowsAreInTheOrderOfTheText) {
  PromptTokenizer t = tokenizer();
  t.set_words(kWords);
  const auto inputs = t.inputs("zqbad zqstyle zqbad");
  EXPECT_THAT(ids_of(t, "zqbad zqstyle zqbad"), ElementsAre(kTable, kTable + 1, kTable + 2, kTable));
  EXPECT_EQ(inputs.extra.size(), static_cast<size_t>(extra_rows(32)) * kWidth);
  EXPECT_THAT(rows(inputs, 3), ElementsAre(7, 8, 1, 2, 3, 4));
  EXPECT_THAT(inputs.used, ElementsAre("zqbad", "zqstyle"));
  EXPECT_THAT(rows(t.inputs("zqstyle_1"), 1), ElementsAre(3, 4));
}

TEST(PromptTokenizer, AsManyRowsAsATextHasTokens) {
  std::vector<float> many(size_t{30} * kWidth);
  for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<float>(i);
  PromptTokenizer t = tokenizer();
  t.set_words(std::vector<WordEmbedding>{word("zqlong", many, {}, 1)});
  EXPECT_EQ(t.inputs("zqlong zqlong").extra, many);
  EXPECT_EQ(ids_of(t, "zqlong zqlong").back(), kTable + 29);
}

// With the old eos_token_id, the vector of the largest id of the words is pooled, also if it is in an earlier row.
TEST(PromptTokenizer, PooledIsTheLargestIdOfTheWords) {
  PromptTokenizer t = tokenizer();
  t.set_words(kWords);
  EXPECT_EQ(t.inputs("zqbad zqstyle").pooled, 1) << "zqbad has the largest id";
  EXPECT_EQ(t.inputs("zqstyle a").pooled, 2) << "its second vector";
  PromptTokenizer by_id = tokenizer(0, t.tokenizer().eos());
  by_id.set_words(kWords);
  EXPECT_EQ(by_id.inputs("zqbad zqstyle").pooled, 4);
}

TEST(PromptTokenizer, WordsOfTheOtherEncoderAreText) {
  PromptTokenizer t = tokenizer(1);
  t.set_words(kWords);
  EXPECT_THAT(rows(t.inputs("zqstyle zqbad"), 1), ElementsAre(5, 6));
  EXPECT_THAT(t.inputs("zqstyle zqbad").used, ElementsAre("zqstyle"));
  const PromptTokenizer plain = tokenizer(1);
  EXPECT_EQ(ids_of(t, "zqbad"), ids_of(plain, "zqbad"));
  EXPECT_EQ(t.inputs("zqbad").identity, 0u);
  EXPECT_FALSE(t.inputs("zqbad").extra.empty()) << "the program has the input";
}

// The cache of features depends on the words in a text, not on the others.
TEST(PromptTokenizer, IdentityIsOfTheWordsInTheText) {
  PromptTokenizer t = tokenizer();
  EXPECT_EQ(t.identity("zqstyle"), 0u);
  t.set_words(kWords);
  const uint64_t both = t.identity("a zqstyle");
  EXPECT_NE(both, 0u);
  EXPECT_EQ(t.identity("a red apple"), 0u);
  EXPECT_NE(t.identity("a zqstyle_1"), both);
  t.set_words(std::span(kWords).first(1));
  EXPECT_EQ(t.identity("a zqstyle"), both);
  t.set_words(std::vector<WordEmbedding>{word("zqstyle", {1, 2, 3, 4}, {}, 12)});
  EXPECT_NE(t.identity("a zqstyle"), both) << "other vectors";
  t.set_words({});
  EXPECT_EQ(t.identity("a zqstyle"), 0u);
}

TEST(PromptTokenizer, RefusedWordsLeaveNone) {
  PromptTokenizer t = tokenizer();
  t.set_words(kWords);
  EXPECT_THROW(t.set_words(std::vector<WordEmbedding>{kWords[0], kWords[0]}), Error);
  EXPECT_THAT(t.inputs("zqstyle").extra, IsEmpty());
}

}  // namespace
}  // namespace tempera
