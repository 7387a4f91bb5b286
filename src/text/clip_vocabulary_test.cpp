// The built-in vocabulary against the `tokenizers` library (tests/data/text/clip.json, made by
// tools/make_clip_vocabulary.mjs), and against the files of SDXL in the reference folder.
#include "text/clip_vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "base/json.h"
#include "text/tokenizer.h"

namespace tempera {
namespace {
using nlohmann::json;

const std::filesystem::path kData = std::filesystem::path(TEMPERA_TEST_DATA) / "text";
const std::filesystem::path kModel = std::filesystem::path(TEMPERA_REFERENCE) / "dev/model";

// The ids that the library gives a text, cut and padded to the length of SDXL's prompts.
std::vector<int32_t> padded(const json& ids, int32_t pad) {
  std::vector<int32_t> all = {49406};
  for (const json& id : ids) {
    if (all.size() < 76) all.push_back(id.get<int32_t>());
  }
  all.push_back(49407);
  all.resize(77, pad);
  return all;
}

TEST(ClipVocabulary, GivesTheIdsOfTheTokenizersLibrary) {
  const json expected = read_json_file(kData / "clip.json");
  const Tokenizer first{clip_vocabulary(Padding::first)}, second{clip_vocabulary(Padding::second)};
  ASSERT_EQ(expected["texts"].size(), 200u);
  for (size_t i = 0; i < expected["texts"].size(); ++i) {
    const auto text = expected["texts"][i].get<std::string>();
    EXPECT_EQ(first.encode(text).ids, padded(expected["first"][i], 49407)) << text;
    EXPECT_EQ(second.encode(text).ids, padded(expected["second"][i], 0)) << text;
  }
}

TEST(ClipVocabulary, IsThatOfSdxl) {
  const Tokenizer first{clip_vocabulary(Padding::first)}, second{clip_vocabulary(Padding::second)};
  EXPECT_EQ(first.vocabulary_size(), 49408);
  EXPECT_EQ(first.max_length(), 77);
  EXPECT_EQ(first.bos(), 49406);
  EXPECT_EQ(first.eos(), 49407);
  EXPECT_EQ(first.pad(), 49407);
  EXPECT_EQ(second.pad(), 0);
  EXPECT_EQ(Tokenizer{clip_vocabulary(Padding::as_stated)}.pad(), 49407);
}

TEST(ClipVocabulary, ItsTextsReadBackAsTheSame) {
  for (const Padding padding : {Padding::first, Padding::second}) {
    const TokenizerFiles built_in = clip_vocabulary(padding);
    const TokenizerFiles read = parse_tokenizer_files(clip_vocabulary_texts(padding));
    EXPECT_TRUE(*read.bpe == *built_in.bpe);
    EXPECT_EQ(read.pad, built_in.pad);
    EXPECT_EQ(read.bos, built_in.bos);
    EXPECT_EQ(read.eos, built_in.eos);
    EXPECT_EQ(read.unknown, built_in.unknown);
    EXPECT_EQ(read.max_length, built_in.max_length);
    EXPECT_EQ(read.added.size(), built_in.added.size());
  }
}

// Any code points, many of them white space, letters and marks of one script, so that all rules of the tokenizer apply.
std::string random_text(std::mt19937& random) {
  const auto below = [&](uint32_t limit) { return static_cast<uint32_t>(random() % limit); };
  std::string text;
  for (uint32_t n = below(80); n > 0; --n) {
    const uint32_t blocks[] = {0x20 + below(0x60),   0x61 + below(26),      0x61 + below(26),
                               0xA0 + below(0x160),  0x300 + below(0x300),  0x900 + below(0x200),
                               0x2000 + below(0x80), 0x3040 + below(0x100), 0x1F300 + below(0x300)};
    const uint32_t c = blocks[below(std::size(blocks))];
    if (c < 0x80) {
      text += static_cast<char>(c);
    } else if (c < 0x800) {
      text += {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
    } else if (c < 0x10000) {
      text += {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3F)),
               static_cast<char>(0x80 | (c & 0x3F))};
    } else {
      text += {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 0x3F)),
               static_cast<char>(0x80 | (c >> 6 & 0x3F)), static_cast<char>(0x80 | (c & 0x3F))};
    }
  }
  return text;
}

TEST(ClipVocabulary, GivesTheIdsOfTheFilesOfSdxl) {
  if (!std::filesystem::exists(kModel)) GTEST_SKIP() << "no reference folder";
  for (const auto& [name, padding] :
       {std::pair("tokenizer", Padding::first), std::pair("tokenizer_2", Padding::second)}) {
    const Tokenizer built_in{clip_vocabulary(padding)};
    const Tokenizer files = Tokenizer::from_folder(kModel / name);
    // One folder for both encoders: the padding is that of the encoder.
    const Tokenizer other =
        Tokenizer::from_folder(kModel / (padding == Padding::first ? "tokenizer_2" : "tokenizer"), padding);
    std::mt19937 random(7);
    for (int i = 0; i < 10'000; ++i) {
      const std::string text = random_text(random);
      const Tokenizer::Encoding expected = files.encode(text);
      ASSERT_EQ(built_in.encode(text).ids, expected.ids) << name << ": " << text;
      ASSERT_EQ(built_in.encode(text).truncated, expected.truncated) << name << ": " << text;
      ASSERT_EQ(other.encode(text).ids, expected.ids) << name << ": " << text;
    }
  }
}

}  // namespace
}  // namespace tempera
