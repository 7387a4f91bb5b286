// Token ids against the tokenizers library (tests/data/text, made by tools/make_tokenizer_data.mjs) and against
// transformers' CLIPTokenizer with CLIP's own vocabulary; broken files are refused.
#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace tempera {
namespace {
using nlohmann::json;
using testing::HasSubstr;

const std::filesystem::path kData = std::filesystem::path(TEMPERA_TEST_DATA) / "text";
const std::filesystem::path kReference = std::filesystem::path(TEMPERA_REFERENCE) / "dev";

std::string problem(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_file);
    return error.what();
  }
  return "";
}

class TokenizerFolder : public testing::TestWithParam<const char*> {};

TEST_P(TokenizerFolder, GivesTheIdsOfTheTokenizersLibrary) {
  const Tokenizer tokenizer = Tokenizer::from_folder(kData / GetParam());
  const json expected = read_json_file(kData / "expected.json");
  ASSERT_EQ(expected[GetParam()].size(), 15u);
  for (const json& row : expected[GetParam()]) {
    const auto text = row["text"].get<std::string>();
    const auto encoding = tokenizer.encode(text);
    EXPECT_EQ(encoding.ids, row["ids"].get<std::vector<int32_t>>()) << text;
    EXPECT_EQ(encoding.tokens, row["tokens"].get<int>()) << text;
    EXPECT_EQ(encoding.eos_index, encoding.tokens - 1) << text;
    EXPECT_EQ(encoding.ids[encoding.eos_index], tokenizer.eos()) << text;
    EXPECT_EQ(encoding.truncated, row["truncated"].get<std::string>()) << text;
  }
}
INSTANTIATE_TEST_SUITE_P(Layouts, TokenizerFolder, testing::Values("two_files", "one_file"),
                         [](const auto& layout) { return std::string(layout.param); });

TEST(Tokenizer, ReadsTheConfiguration) {
  const Tokenizer one = Tokenizer::from_folder(kData / "one_file");
  const Tokenizer two = Tokenizer::from_folder(kData / "two_files");
  EXPECT_EQ(one.max_length(), 32);
  EXPECT_EQ(one.pad(), 0);
  EXPECT_EQ(one.vocabulary_size(), 780);
  EXPECT_EQ(two.pad(), two.eos());
  EXPECT_EQ(two.bos(), 776);
  EXPECT_EQ(two.eos(), 777);
  EXPECT_EQ(two.vocabulary_size(), 778);
}

// The rows of an int64 matrix in a safetensors file; a vector has rows of one number.
std::vector<std::vector<int64_t>> read_rows(const std::filesystem::path& path, const char* name) {
  std::ifstream file(path, std::ios::binary);
  uint64_t length = 0;
  file.read(reinterpret_cast<char*>(&length), sizeof length);
  std::string header(length, '\0');
  file.read(header.data(), static_cast<std::streamsize>(length));
  const json entry = parse_json(header, path.string())[name];
  file.seekg(static_cast<std::streamoff>(8 + length + entry["data_offsets"][0].get<uint64_t>()));
  std::vector<std::vector<int64_t>> rows(
      entry["shape"][0].get<size_t>(),
      std::vector<int64_t>(entry["shape"].size() > 1 ? entry["shape"][1].get<size_t>() : 1));
  for (auto& row : rows) file.read(reinterpret_cast<char*>(row.data()), static_cast<std::streamsize>(row.size() * 8));
  EXPECT_TRUE(file.good());
  return rows;
}

TEST(Tokenizer, GivesTheIdsOfTransformersWithTheVocabularyOfClip) {
  if (!std::filesystem::exists(kReference)) GTEST_SKIP() << "no reference folder";
  const json texts = read_json_file(kReference / "texts.json");
  ASSERT_EQ(texts.size(), 13u);
  for (const auto& [folder, name] : {std::pair("tokenizer", "tokens_1"), std::pair("tokenizer_2", "tokens_2")}) {
    const Tokenizer tokenizer = Tokenizer::from_folder(kReference / "model" / folder);
    EXPECT_EQ(tokenizer.max_length(), 77);
    const auto rows = read_rows(kReference / "parts.safetensors", name);
    ASSERT_EQ(rows.size(), texts.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto ids = tokenizer.encode(texts[i].get<std::string>()).ids;
      EXPECT_EQ(std::vector<int64_t>(ids.begin(), ids.end()), rows[i]) << name << " of " << texts[i];
    }
  }
}

TEST(Tokenizer, SharesAVocabularyThatIsTheSame) {
  const Tokenizer first = Tokenizer::from_folder(kData / "two_files");
  const json expected = read_json_file(kData / "expected.json");
  for (const char* folder : {"two_files", "one_file"}) {
    const Tokenizer alone = Tokenizer::from_folder(kData / folder);
    Tokenizer shared = Tokenizer::from_folder(kData / folder);
    shared.share_vocabulary(first);
    EXPECT_EQ(shared.vocabulary_size(), alone.vocabulary_size());
    for (const json& row : expected[folder]) {
      const auto text = row["text"].get<std::string>();
      EXPECT_EQ(shared.encode(text).ids, alone.encode(text).ids) << text;
    }
  }
}

TEST(Tokenizer, AnyBytesEncode) {
  const Tokenizer tokenizer = Tokenizer::from_folder(kData / "two_files");
  EXPECT_EQ(tokenizer.encode("a \xFF\xC3 b").ids, tokenizer.encode("a \uFFFD\uFFFD b").ids);
  EXPECT_EQ(tokenizer.encode(std::string(100'000, '\xF0')).ids.size(), 32u);
}

std::vector<int32_t> ids_of(const Tokenizer& tokenizer, std::string_view text) {
  const auto encoding = tokenizer.encode(text);
  return {encoding.ids.begin() + 1, encoding.ids.begin() + encoding.eos_index};
}

// The texts that diffusers' maybe_convert_prompt gives the tokenizer, with the words as tokens of their own.
TEST(Tokenizer, WordsOfTextualInversion) {
  const Tokenizer plain = Tokenizer::from_folder(kData / "two_files");
  const std::vector<Tokenizer::Word> words = {{"MyStyle", 3}, {"zq bad", 1}, {"<cat>", 2}};
  const Tokenizer tokenizer = plain.with_words(words, 1000);
  using Ids = std::vector<int32_t>;
  EXPECT_EQ(ids_of(tokenizer, "mystyle"), (Ids{1000, 1001, 1002}));
  EXPECT_EQ(ids_of(tokenizer, "MYSTYLE, zq  BAD"), (Ids{1000, 1001, 1002, ids_of(plain, ",")[0], 1003}));
  EXPECT_EQ(ids_of(tokenizer, "<cat><cat>"), (Ids{1004, 1005, 1004, 1005}));
  EXPECT_EQ(ids_of(tokenizer, "mystyle_1 mystyle_2"), (Ids{1001, 1002})) << "vectors alone";
  Ids with_more = {1000, 1001, 1002};
  for (const int32_t id : ids_of(plain, "_3")) with_more.push_back(id);
  EXPECT_EQ(ids_of(tokenizer, "mystyle_3"), with_more) << "there is no such vector";
  EXPECT_EQ(ids_of(tokenizer, "my style zq"), ids_of(plain, "my style zq"));
}

TEST(Tokenizer, WordsThatDoNotFitAreNamed) {
  const Tokenizer plain = Tokenizer::from_folder(kData / "two_files");
  const std::vector<Tokenizer::Word> words = {{"MyStyle", 3}};
  std::string text;
  for (int i = 0; i < 29; ++i) text += "a ";  // leaves one place of 30
  const auto encoding = plain.with_words(words, 1000).encode(text + "mystyle mystyle a");
  EXPECT_EQ(encoding.ids[30], 1000);
  EXPECT_EQ(encoding.truncated_tokens, 6);
  EXPECT_EQ(encoding.truncated, "mystyle_1 mystyle_2 mystyle a");
}

TEST(Tokenizer, WordsThatCannotBeAdded) {
  const Tokenizer plain = Tokenizer::from_folder(kData / "two_files");
  const auto refusal = [&](const std::vector<Tokenizer::Word>& words) -> std::string {
    try {
      plain.with_words(words, 1000);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refusal({{"A"}}), HasSubstr("the word 'a' of textual_inversion is a token of the model's vocabulary"));
  EXPECT_THAT(refusal({{"<|endoftext|>"}}), HasSubstr("is a token"));
  EXPECT_THAT(refusal({{"zqx"}, {"ZQX"}}), HasSubstr("the word 'zqx' of textual_inversion is given twice"));
  EXPECT_THAT(refusal({{"zqx", 3}, {"zqx_2"}}), HasSubstr("'zqx_2' of textual_inversion is given twice"));
  EXPECT_THAT(refusal({{" "}}), HasSubstr("is empty"));
  EXPECT_THAT(refusal({{""}}), HasSubstr("is empty"));
  EXPECT_EQ(refusal({{"zqx", 2}, {"zqx_2"}}), "");
}

TEST(Tokenizer, GivesTheIdsOfDiffusersForWords) {
  const auto parts = kReference / "more/parts_textual_inversion.safetensors";
  if (!std::filesystem::exists(parts)) GTEST_SKIP() << "no reference folder";
  const std::vector<Tokenizer::Word> words = {{"tistyle", 3}, {"tibad", 1}};
  for (const auto& [folder, name] : {std::pair("tokenizer", "ti_tokens_1"), std::pair("tokenizer_2", "ti_tokens_2")}) {
    const Tokenizer plain = Tokenizer::from_folder(kReference / "model" / folder);
    const auto ids =
        plain.with_words(words, plain.vocabulary_size()).encode("a photo of a horse in tistyle, on mars").ids;
    EXPECT_EQ(std::vector<int64_t>(ids.begin(), ids.end()), read_rows(parts, name)[0]) << name;
    EXPECT_EQ(pooled_index(ids, 2), read_rows(parts, "ti_pooled_position")[0][0]);
  }
}

TEST(PooledIndex, FollowsTransformers) {
  const std::vector<int32_t> ids = {7, 1, 9, 5, 9, 2, 2};
  EXPECT_EQ(pooled_index(ids, 9), 2);
  EXPECT_EQ(pooled_index(ids, 5), 3);
  EXPECT_EQ(pooled_index(ids, 1'000'000'000'000), 0);  // absent
  EXPECT_EQ(pooled_index(ids, 2), 2);                  // the old rule: the largest, although 2 is there
}

// A tokenizer of a handful of tokens, to break in one place at a time.
TokenizerTexts small() {
  TokenizerTexts texts;
  texts.folder = "F";
  texts.vocabulary = R"({"a": 0, "a</w>": 1, "aa</w>": 2, "<|startoftext|>": 3, "<|endoftext|>": 4})";
  texts.merges = "#version: 0.2\r\na a</w>\r\n\r\n";
  return texts;
}

std::vector<int32_t> encode(const TokenizerTexts& texts, std::string_view text) {
  const auto encoding = Tokenizer(parse_tokenizer_files(texts)).encode(text);
  return {encoding.ids.begin(), encoding.ids.begin() + encoding.tokens};
}

TEST(TokenizerFiles, DefaultsAreThoseOfClip) {
  const Tokenizer tokenizer(parse_tokenizer_files(small()));
  EXPECT_EQ(tokenizer.max_length(), 77);
  EXPECT_EQ(tokenizer.pad(), 4);
  EXPECT_EQ(encode(small(), "aa aaa"), (std::vector<int32_t>{3, 2, 0, 2, 4}));
}

TEST(TokenizerFiles, SpecialTokensCanBeOthers) {
  TokenizerTexts texts = small();
  texts.config = R"({"bos_token": "a", "eos_token": {"content": "aa</w>"}, "pad_token": null, "model_max_length": 3})";
  const Tokenizer tokenizer(parse_tokenizer_files(texts));
  EXPECT_EQ(tokenizer.encode("b b").ids, (std::vector<int32_t>{0, 4, 2}));
  EXPECT_EQ(tokenizer.encode("").ids, (std::vector<int32_t>{0, 2, 4}));
  texts.special_tokens = R"({"bos_token": "a</w>"})";
  EXPECT_EQ(Tokenizer(parse_tokenizer_files(texts)).bos(), 1);
  // With a list of added tokens in the configuration, the older file is not used.
  texts.config = R"({"bos_token": "a", "added_tokens_decoder": {"9": {"content": "<x>", "special": true}}})";
  EXPECT_EQ(Tokenizer(parse_tokenizer_files(texts)).bos(), 0);
  EXPECT_EQ(encode(texts, "<x>"), (std::vector<int32_t>{0, 9, 4}));
}

TEST(TokenizerFiles, PaddingIsThatOfTheEncoder) {
  const auto pad = [](const TokenizerTexts& texts, Padding padding) {
    return Tokenizer(parse_tokenizer_files(texts, padding)).pad();
  };
  TokenizerTexts texts = small();
  EXPECT_EQ(pad(texts, Padding::second), 4);  // no "!" in the vocabulary
  texts.vocabulary = R"({"a": 0, "a</w>": 1, "aa</w>": 2, "<|startoftext|>": 3, "<|endoftext|>": 4, "!": 5})";
  EXPECT_EQ(pad(texts, Padding::as_stated), 4);
  EXPECT_EQ(pad(texts, Padding::first), 4);
  EXPECT_EQ(pad(texts, Padding::second), 5);
  texts.config = R"({"pad_token": "!", "added_tokens_decoder": {"5": {"content": "!"}}})";
  EXPECT_EQ(pad(texts, Padding::as_stated), 5);
  EXPECT_EQ(pad(texts, Padding::first), 4);
  EXPECT_EQ(pad(texts, Padding::second), 5);
  // Where "!" pads, it is recognised inside a word; elsewhere it is not (and this vocabulary has no "!</w>").
  EXPECT_EQ(encode(texts, "a!a"), (std::vector<int32_t>{3, 1, 5, 1, 4}));
  const auto ids = Tokenizer(parse_tokenizer_files(texts, Padding::first)).encode("a!a").ids;
  EXPECT_EQ(std::vector<int32_t>(ids.begin(), ids.begin() + 5), (std::vector<int32_t>{3, 1, 4, 1, 4}));
  // Another stated token stays.
  texts.config = R"({"pad_token": "aa</w>"})";
  for (const Padding padding : {Padding::first, Padding::second}) EXPECT_EQ(pad(texts, padding), 2);
}

TEST(TokenizerFiles, TakesTheLegacyListOfAddedTokens) {
  TokenizerTexts texts = small();
  texts.added_tokens = R"({"<Style>": 5, "<|endoftext|>": 4})";
  // "<Style>" plays no role, so it is looked for in normalised text; BOS and EOS are not.
  EXPECT_EQ(encode(texts, "a<style>a<|endoftext|>"), (std::vector<int32_t>{3, 1, 5, 1, 4, 4}));
  EXPECT_EQ(encode(texts, "<|ENDOFTEXT|>").size(), 2u + 13u);
}

TEST(TokenizerFiles, ModelMaxLength) {
  const auto length = [](const char* config) {
    TokenizerTexts texts = small();
    texts.config = config;
    return Tokenizer(parse_tokenizer_files(texts)).max_length();
  };
  EXPECT_EQ(length(R"({"model_max_length": 2})"), 2);
  EXPECT_EQ(length(R"({"model_max_length": 1000000000000000019884624838656})"), 77);
  EXPECT_EQ(length(R"({"model_max_length": null})"), 77);
  EXPECT_THAT(problem([&] { length(R"({"model_max_length": 1})"); }), HasSubstr("must be between 2"));
  EXPECT_THAT(problem([&] { length(R"({"model_max_length": -77})"); }), HasSubstr("must be between 2"));
  EXPECT_THAT(problem([&] { length(R"({"model_max_length": 7.5})"); }), HasSubstr("whole number"));
  EXPECT_THAT(problem([&] { length(R"({"model_max_length": "77"})"); }), HasSubstr("a number"));
}

TEST(TokenizerFiles, RefusesBrokenFiles) {
  const auto message = [](const std::function<void(TokenizerTexts&)>& breakage) {
    TokenizerTexts texts = small();
    breakage(texts);
    return problem([&] { parse_tokenizer_files(texts); });
  };
  EXPECT_EQ(message([](TokenizerTexts&) {}), "");
  EXPECT_THAT(message([](auto& t) { t.merges.reset(); }), HasSubstr("'F' holds no tokenizer"));
  EXPECT_THAT(message([](auto& t) { t.vocabulary = "[]"; }), HasSubstr("'F/vocab.json' must hold a JSON object"));
  EXPECT_THAT(message([](auto& t) { t.vocabulary = R"({"a": 0, "a": 1})"; }), HasSubstr("appears twice"));
  EXPECT_THAT(message([](auto& t) { t.vocabulary = R"({"a": 18446744073709551615})"; }),
              HasSubstr("'a' is not a whole"));
  EXPECT_THAT(message([](auto& t) { t.vocabulary = R"({"a": "0"})"; }), HasSubstr("'a' is not a whole"));
  EXPECT_THAT(message([](auto& t) { t.vocabulary = R"({"a": 0, "b": 0})"; }), HasSubstr("same id 0"));
  EXPECT_THAT(message([](auto& t) { t.merges = "a b c"; }), HasSubstr("'F/merges.txt': merge 1 is not two tokens"));
  EXPECT_THAT(message([](auto& t) { t.merges = "a a</w>\na q"; }), HasSubstr("merge 2 needs the token 'q'"));
  EXPECT_THAT(message([](auto& t) { t.config = R"({"pad_token": "!"})"; }), HasSubstr("lacks the pad_token '!'"));
  EXPECT_THAT(message([](auto& t) { t.config = R"({"bos_token": 7})"; }), HasSubstr("'F/tokenizer_config.json'"));
  EXPECT_THAT(message([](auto& t) { t.config = R"({"added_tokens_decoder": {"x": {"content": "a"}}})"; }),
              HasSubstr("no token id"));
  EXPECT_THAT(message([](auto& t) { t.config = R"({"added_tokens_decoder": {"1": {"content": "a"}}})"; }),
              HasSubstr("has the id 1, but 0"));
  EXPECT_THAT(message([](auto& t) { t.tokenizer = "{}"; }), HasSubstr("'F/tokenizer.json' has no \"model\""));
  EXPECT_THAT(message([](auto& t) { t.tokenizer = R"({"model": {"type": "Unigram", "vocab": []}})"; }),
              HasSubstr("of type Unigram"));
  EXPECT_THAT(message([](auto& t) { t.tokenizer = R"({"model": {"end_of_word_suffix": "</w>"}})"; }),
              HasSubstr("lacks"));
  EXPECT_THAT(message([](auto& t) {
                t.tokenizer = R"({"model": {"end_of_word_suffix": "</w>", "vocab": {"a": 0}, "merges": [["a"]]}})";
              }),
              HasSubstr("merge 1 is not a pair"));
}

TEST(TokenizerFiles, MissingFoldersAndFilesAreNamed) {
  EXPECT_THAT(problem([] { Tokenizer::from_folder("/nonexistent/tokenizer"); }), HasSubstr("'/nonexistent/tokenizer'"));
  EXPECT_THAT(problem([] { Tokenizer::from_folder(kData); }), HasSubstr("holds no tokenizer"));
}

}  // namespace
}  // namespace tempera
