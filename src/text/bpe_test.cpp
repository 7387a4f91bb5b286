// The queue of Bpe::encode against the definition that it optimises, and the rules for a vocabulary.
#include "text/bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>

#include "base/error.h"

namespace tempera {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;
using Vocabulary = std::vector<std::pair<std::string, int64_t>>;
using Merges = std::vector<std::pair<std::string_view, std::string_view>>;

std::vector<int32_t> encode(const Bpe& bpe, std::string_view word, int32_t unknown = 99) {
  std::vector<int32_t> ids;
  bpe.encode(word, unknown, ids);
  return ids;
}

std::string problem(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_file);
    return error.what();
  }
  return "";
}

// The definition: join the pair of the lowest rank, the leftmost of equals, and begin again.
std::vector<std::string> join_by_definition(std::string_view word, const Merges& merges) {
  std::vector<std::string> symbols;
  for (const char c : word) symbols.emplace_back(1, c);
  if (!symbols.empty()) symbols.back() += "</w>";
  while (true) {
    size_t best = merges.size();
    size_t at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      for (size_t rank = 0; rank < best; ++rank) {
        if (merges[rank].first == symbols[i] && merges[rank].second == symbols[i + 1]) best = rank, at = i;
      }
    }
    if (best == merges.size()) return symbols;
    symbols[at] += symbols[at + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

TEST(Bpe, EncodesAsDefinedForRandomVocabularies) {
  std::mt19937 random(7);
  int joined_words = 0;
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> tokens = {"a", "b", "c", "a</w>", "b</w>", "c</w>"};
    std::vector<std::pair<std::string, std::string>> pairs;
    for (int i = 0; i < 14; ++i) {
      const std::string left = tokens[random() % tokens.size()];
      const std::string right = tokens[random() % tokens.size()];
      const std::string joined = left + right;
      if (left.ends_with(">") || joined.size() > 10) continue;
      if (std::find(tokens.begin(), tokens.end(), joined) == tokens.end()) tokens.push_back(joined);
      if (std::find(pairs.begin(), pairs.end(), std::pair(left, right)) == pairs.end()) pairs.emplace_back(left, right);
    }
    Vocabulary vocabulary;
    for (size_t i = 0; i < tokens.size(); ++i) vocabulary.emplace_back(tokens[i], static_cast<int64_t>(i));
    const Merges merges(pairs.begin(), pairs.end());
    const Bpe bpe(vocabulary, merges, "test");
    for (int i = 0; i < 50; ++i) {
      std::string word(random() % 24, 'a');
      for (char& c : word) c = static_cast<char>('a' + random() % 3);
      std::vector<int32_t> expected;
      for (const std::string& symbol : join_by_definition(word, merges)) expected.push_back(*bpe.id(symbol));
      ASSERT_EQ(encode(bpe, word), expected) << word;
      joined_words += expected.size() < word.size() ? 1 : 0;
    }
  }
  EXPECT_GT(joined_words, 5000);
}

TEST(Bpe, UnknownBytesBecomeTheUnknownToken) {
  const Bpe bpe({{"a", 0}, {"a</w>", 1}}, {}, "test");
  EXPECT_THAT(encode(bpe, "aba"), ElementsAre(0, 99, 1));
  EXPECT_THAT(encode(bpe, "b\xff"), ElementsAre(99, 99));
  EXPECT_THAT(encode(bpe, ""), ElementsAre());
}

TEST(Bpe, LongWordsTakeNoQuadraticTime) {
  const Bpe bpe({{"a", 0}, {"a</w>", 1}, {"aa", 2}, {"aaaa", 3}}, {{"a", "a"}, {"aa", "aa"}}, "test");
  EXPECT_EQ(encode(bpe, std::string(400'001, 'a')).size(), 100'001u);
}

TEST(Bpe, DecodesToValidText) {
  const Bpe bpe({{"h", 0}, {"i</w>", 1}, {"\xC3\x83", 2}, {"\xC2\xA9</w>", 3}, {"<|x|>", 4}, {"\xE6\x97\xA5", 5}}, {},
                "test");
  EXPECT_EQ(bpe.decode(std::vector<int32_t>{0, 1, 2, 3, 4}), "hi \xC3\xA9 <|x|>");
  EXPECT_EQ(bpe.decode(std::vector<int32_t>{2, 0}), "\xEF\xBF\xBDh");
  EXPECT_EQ(bpe.decode(std::vector<int32_t>{5, -1, 77, 1}), "\xE6\x97\xA5i");
}

TEST(Bpe, LaterOfTwoEqualMergesCounts) {
  const Vocabulary vocabulary{{"a", 0}, {"b", 1}, {"c</w>", 2}, {"ab", 3}, {"bc</w>", 4}};
  EXPECT_THAT(encode(Bpe(vocabulary, {{"a", "b"}, {"b", "c</w>"}}, "test"), "abc"), ElementsAre(3, 2));
  EXPECT_THAT(encode(Bpe(vocabulary, {{"a", "b"}, {"b", "c</w>"}, {"a", "b"}}, "test"), "abc"), ElementsAre(0, 4));
}

TEST(Bpe, RefusesBrokenVocabularies) {
  const auto message = [](Vocabulary vocabulary, const Merges& merges = {}) {
    return problem([&] { const Bpe bpe(std::move(vocabulary), merges, "v.json"); });
  };
  EXPECT_EQ(message({{"a", 0}, {"b", Bpe::kMaxId}}), "");
  EXPECT_THAT(message({{"a", -1}}), HasSubstr("the id -1 of token 'a' is not between 0"));
  EXPECT_THAT(message({{"a", Bpe::kMaxId + 1}}), HasSubstr("is not between 0"));
  EXPECT_THAT(message({{"a", 1}, {"b", 1}}), HasSubstr("the tokens 'a' and 'b' have the same id 1"));
  EXPECT_THAT(message({{"a", 1}, {"a", 2}}), HasSubstr("the token 'a' appears twice"));
  EXPECT_THAT(message({{"", 1}}), HasSubstr("empty token"));
  EXPECT_THAT(message({{"a", 0}, {"b", 1}}, {{"a", "b"}}), HasSubstr("merge 1 needs the token 'ab'"));
  EXPECT_THAT(message({{"a", 0}, {"aa", 1}}, {{"a", "a"}, {"a", "x"}}), HasSubstr("merge 2 needs the token 'x'"));
}

TEST(Bpe, AddsTokens) {
  Bpe bpe({{"a", 0}}, {}, "test");
  bpe.add("a", 0, "t");
  for (int i = 1; i < 1000; ++i) bpe.add("<" + std::to_string(i) + ">", i, "t");
  EXPECT_EQ(bpe.id("<999>"), 999);
  EXPECT_EQ(bpe.size(), 1000);
  EXPECT_THAT(problem([&] { bpe.add("a", 7, "t"); }), HasSubstr("has the id 7, but 0 in the vocabulary"));
  EXPECT_THAT(problem([&] { bpe.add("new", 0, "t"); }), HasSubstr("have the same id 0"));
}

}  // namespace
}  // namespace tempera
