// The writer's exact text, the reader's results for texts of other programs, and that reading inverts writing.
#include "image/infotext.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace tempera {
namespace {
using testing::ElementsAre;
using testing::Pair;
using Values = std::vector<std::pair<std::string, std::string>>;

TEST(Infotext, WritesTheFormOfTheWebUi) {
  const Infotext info{
      "a red apple,\non a table", "blurry, bad", {{"Steps", "20"}, {"Sampler", "Euler"}, {"Seed", "1"}}};
  EXPECT_EQ(format_infotext(info),
            "a red apple,\non a table\nNegative prompt: blurry, bad\nSteps: 20, Sampler: Euler, Seed: 1");
  EXPECT_EQ(format_infotext({"x", "", {{"Steps", "20"}}}), "x\nSteps: 20");
  EXPECT_EQ(format_infotext({"", "n", {}}), "\nNegative prompt: n");
}

TEST(Infotext, OrdersKnownKeys) {
  const Values values = {{"Version", "v"}, {"B2", "1"},    {"RNG", "CPU"},      {"Size", "8x8"},
                         {"A extra", "2"}, {"Model", "m"}, {"Model hash", "h"}, {"Steps", "3"}};
  EXPECT_EQ(format_infotext({"", "", values}),
            "\nSteps: 3, Size: 8x8, Model hash: h, Model: m, RNG: CPU, B2: 1, A extra: 2, Version: v");
}

TEST(Infotext, QuotesValues) {
  const auto value = [](const char* text) { return format_infotext({"", "", {{"Key", text}}}).substr(6); };
  EXPECT_EQ(value("plain text \\ (x)"), "plain text \\ (x)");
  EXPECT_EQ(value("a: 1, b"), R"("a: 1, b")");
  EXPECT_EQ(value("a\nb\\"), R"("a\nb\\")");
  EXPECT_EQ(value("say \"hi\", you"), R"("say \"hi\", you")");
  EXPECT_EQ(value("\"hi\""), R"("\"hi\"")");
  EXPECT_EQ(value("a \"b\""), R"("a \"b\"")");
  EXPECT_EQ(value(" edge"), R"(" edge")");
  EXPECT_EQ(value(""), R"("")");
}

TEST(Infotext, ReadsTheWebUi) {
  const Infotext info = parse_infotext(
      "a cat, (best:1.2)\nsecond line\nNegative prompt: bad: hands\nmore bad\n"
      "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 965400086, Size: 512x768, "
      "Model hash: 45dee52b, Model: sd xl/base, Lora hashes: \"a: 12, b: \\\"34\\\"\", Clip skip: 2, Version: "
      "v1.6.0\n");
  EXPECT_EQ(info.prompt, "a cat, (best:1.2)\nsecond line");
  EXPECT_EQ(info.negative_prompt, "bad: hands\nmore bad");
  EXPECT_THAT(info.values,
              ElementsAre(Pair("Steps", "20"), Pair("Sampler", "DPM++ 2M"), Pair("Schedule type", "Karras"),
                          Pair("CFG scale", "7"), Pair("Seed", "965400086"), Pair("Size", "512x768"),
                          Pair("Model hash", "45dee52b"), Pair("Model", "sd xl/base"),
                          Pair("Lora hashes", "a: 12, b: \"34\""), Pair("Clip skip", "2"), Pair("Version", "v1.6.0")));
  EXPECT_EQ(info.find("Size-1"), "512");
  EXPECT_EQ(info.find("Size-2"), "768");
  EXPECT_EQ(info.find("Clip skip"), "2");
  EXPECT_EQ(info.find("RNG"), "GPU");
  EXPECT_EQ(info.find("Model-1"), std::nullopt);
  EXPECT_EQ(info.find("none"), std::nullopt);
  EXPECT_EQ(Infotext{}.find("Clip skip"), "1");
  EXPECT_EQ(Infotext{}.find("Schedule type"), "Automatic");
}

TEST(Infotext, ReadsJsonThatOthersAppend) {
  const Infotext info = parse_infotext(
      "p\nSteps: 4, Sampler: euler_a karras, Hashes: {\"model\": \"ab\", \"x, y\": [1, 2]}, "
      "Civitai resources: [{\"type\":\"checkpoint\",\"n\":\"]\"}], SDCPP: {\"a\": 1}");
  EXPECT_THAT(info.values, ElementsAre(Pair("Steps", "4"), Pair("Sampler", "euler_a karras"),
                                       Pair("Hashes", "{\"model\": \"ab\", \"x, y\": [1, 2]}"),
                                       Pair("Civitai resources", "[{\"type\":\"checkpoint\",\"n\":\"]\"}]"),
                                       Pair("SDCPP", "{\"a\": 1}")));
}

TEST(Infotext, AFewValuesBelongToThePrompt) {
  EXPECT_EQ(parse_infotext("red: 1, blue: 2").prompt, "red: 1, blue: 2");
  EXPECT_TRUE(parse_infotext("red: 1, blue: 2").values.empty());
  EXPECT_EQ(parse_infotext("red: 1, blue: 2, green: 3").values.size(), 3u);
  EXPECT_EQ(parse_infotext("").prompt, "");
  EXPECT_EQ(parse_infotext("a\n\n\nSteps: 1, Seed: 2, Size: 3x3").prompt, "a\n\n");
  EXPECT_EQ(parse_infotext("\n\nSteps: 1, Seed: 2, Size: 3x3\n").prompt, "");
}

TEST(Infotext, ReadsWhatIsBroken) {
  EXPECT_THAT(parse_infotext("x\nSteps: \"20, Seed: \"a\" b, Size: [1, 2, :, a: 1, CFG scale : 7").values,
              ElementsAre(Pair("Steps", "\"20"), Pair("Seed", "\"a\" b"), Pair("Size", "[1"), Pair("CFG scale", "7")));
  EXPECT_THAT(parse_infotext("aa: 1, b : 2, cc: 3, dd: 4").values,
              ElementsAre(Pair("aa", "1"), Pair("cc", "3"), Pair("dd", "4")));
  EXPECT_EQ(parse_infotext("\xFF\xFE: a, bb: \"\\ud800\", cc: 1").values.size(), 3u);
}

TEST(Infotext, LongHostileLinesTakeLinearTime) {
  for (const char* part : {"aa: [, ", "aa: \"", "aa: {\"", "a ", "a1: ]", "aa: \"\\", "\nNegative prompt:"}) {
    std::string text = "p\n";
    while (text.size() < 1'000'000) text += part;
    for (const char* end : {"", "]x", "\"x"}) parse_infotext(text + end);
  }
  std::string nested = "p\n";
  for (int i = 0; i < 100'000; ++i) nested += "aa: [, ";
  parse_infotext(nested + std::string(100'000, ']') + "x");
}

std::string random_text(std::mt19937& random, std::string_view alphabet, size_t longest) {
  std::string text(random() % (longest + 1), ' ');
  for (char& c : text) c = alphabet[random() % alphabet.size()];
  return text;
}

// Lines without white space at their ends, none of them empty at the beginning or the end, as the format can hold.
std::string random_prompt(std::mt19937& random) {
  std::string prompt;
  const size_t lines = random() % 4;
  for (size_t i = 0; i < lines; ++i) {
    if (i > 0) prompt += '\n';
    prompt += "<" + random_text(random, "ab ,:\"\\{}[]()\t1Steps\xC3\xA9", 20) + ">";
  }
  return prompt;
}

TEST(Infotext, ReadingUndoesWriting) {
  std::mt19937 random(3);
  for (int round = 0; round < 5'000; ++round) {
    Infotext info{random_prompt(random), random_prompt(random), {}};
    const size_t count = 3 + random() % 5;
    for (size_t i = 0; i < count; ++i) {
      std::string key = "k" + random_text(random, "ab1 -/_\xC3\xA9", 8) + std::to_string(i);
      info.values.emplace_back(std::move(key), random_text(random, "ab1 ,:\n\t\\'{}[]x=", 10));
    }
    const Infotext read = parse_infotext(format_infotext(info));
    ASSERT_EQ(read.prompt, info.prompt) << format_infotext(info);
    ASSERT_EQ(read.negative_prompt, info.negative_prompt) << format_infotext(info);
    ASSERT_EQ(read.values, info.values) << format_infotext(info);
  }
}

}  // namespace
}  // namespace tempera
