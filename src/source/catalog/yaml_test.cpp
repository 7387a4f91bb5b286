#include "source/catalog/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace tempera {
namespace {

using testing::HasSubstr;

std::string value(std::string_view text, std::string_view key = "a") {
  const YamlNode root = parse_yaml(text, "f");
  const YamlNode* node = root.find(key);
  return node == nullptr ? "(absent)" : node->kind == YamlNode::Kind::null ? "(null)" : node->text;
}

std::string refusal(std::string_view text) {
  try {
    parse_yaml(text, "f.yaml");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_file);
    return error.what();
  }
  return "accepted";
}

TEST(Yaml, ReadsNestedMaps) {
  const YamlNode root = parse_yaml("# comment\n---\nx:\n    y: 1  # one\n    z:\n", "f");
  const YamlNode* x = root.find("x");
  ASSERT_NE(x, nullptr);
  EXPECT_EQ(x->line, 3);
  EXPECT_EQ(x->find("y")->text, "1");
  EXPECT_EQ(x->find("none"), nullptr);
}

TEST(Yaml, ReadsScalars) {
  EXPECT_EQ(value("a: C:\\models\\x  \n"), "C:\\models\\x");
  EXPECT_EQ(value("a: b#c # d"), "b#c");
  EXPECT_EQ(value("a: 'it''s # here'  # no"), "it's # here");
  EXPECT_EQ(value("a: \"x\\ty\\\\z\\u00e9\\x41\""),
            "x\ty\\z\xc3\xa9"
            "A");
  EXPECT_EQ(value("'a': b\r\n"), "b");
  EXPECT_EQ(value("\"a\" : b"), "b");
  EXPECT_EQ(value("a b: c", "a b"), "c");
  EXPECT_EQ(value("a:"), "(null)");
  EXPECT_EQ(value("a: ~\nb: c"), "(null)");
  EXPECT_EQ(value("a: 'null'"), "null");
  EXPECT_EQ(value("a: ''"), "");
  EXPECT_EQ(value("\xef\xbb\xbf"
                  "a: b"),
            "b");
  EXPECT_EQ(value("", "a"), "(absent)");
}

// The expected texts are those of YAML 1.2, sections 8.1.1 and 8.1.3.
TEST(Yaml, ReadsBlocks) {
  EXPECT_EQ(value("a: |\n  x\n  y\nb: c"), "x\ny\n");
  EXPECT_EQ(value("a: |-\n  x\n\n   y # no comment\n\n"), "x\n\n y # no comment");
  EXPECT_EQ(value("a: |+\n  x\n\n"), "x\n\n");
  EXPECT_EQ(value("a: |2\n   x\n  y\n"), " x\ny\n");
  EXPECT_EQ(value("a: >\n  x\n  y\n\n  z\n"), "x y\nz\n");
  EXPECT_EQ(value("a: >\n  x\n    y\n  z\n"), "x\n  y\nz\n");
  EXPECT_EQ(value("a: |\nb: c"), "");
  EXPECT_EQ(value("a: | # comment\n  x"), "x\n");
  EXPECT_EQ(value("s:\n  a: |\n    x\n  # comment\n  b: c\nt: u", "t"), "u");
}

TEST(Yaml, RefusesTheRestWithFileAndLine) {
  EXPECT_THAT(refusal("a: b\n- c"), HasSubstr("'f.yaml' line 2: lists are not supported"));
  EXPECT_THAT(refusal("a:\n\tb: c"), HasSubstr("line 2: indent with spaces"));
  EXPECT_THAT(refusal("a: b\na: c"), HasSubstr("line 2: the key 'a' appears twice"));
  EXPECT_THAT(refusal("a: b\n c: d"), HasSubstr("line 2: a value of several lines"));
  EXPECT_THAT(refusal("a:\n    b: c\n  d: e"), HasSubstr("line 3: "));
  EXPECT_THAT(refusal("a:\n  b: c\n d: e"), HasSubstr("line 3: "));
  EXPECT_THAT(refusal("text"), HasSubstr("line 1: 'text' is no 'key: value'"));
  EXPECT_THAT(refusal("a: {b: c}"), HasSubstr("'{' at the beginning"));
  EXPECT_THAT(refusal("a: &x b"), HasSubstr("'&' at the beginning"));
  EXPECT_THAT(refusal("a: b: c"), HasSubstr("put the value in quotes"));
  EXPECT_THAT(refusal("a: 'b"), HasSubstr("must end on the same line"));
  EXPECT_THAT(refusal("a: \"C:\\models\""), HasSubstr("a backslash is written as \\\\"));
  EXPECT_THAT(refusal("a: \"b\" c"), HasSubstr("text after a quoted value"));
  EXPECT_THAT(refusal("a: |x\n  b"), HasSubstr("no beginning of a block"));
  EXPECT_THAT(refusal("a: b\n---\nc: d"), HasSubstr("line 2: several documents"));
  EXPECT_THAT(refusal("%YAML 1.2\n---\na: b"), HasSubstr("directives"));
  EXPECT_THAT(refusal("a: \x01"), HasSubstr("control character"));
  EXPECT_THAT(refusal("a: \xff"), HasSubstr("not valid UTF-8"));
  EXPECT_THAT(refusal(std::string((1 << 20) + 1, ' ')), HasSubstr("longer than"));
  std::string deep, wide;
  for (int i = 0; i < 20; ++i) deep += std::string(i, ' ') + "a:\n";
  EXPECT_THAT(refusal(deep), HasSubstr("levels"));
  for (int i = 0; i < 10'001; ++i) wide += std::to_string(i) + ": a\n";
  EXPECT_THAT(refusal(wide), HasSubstr("keys"));
}

// Every mistake before every line of a good file: in the text of a block some of them are content, everywhere else each
// is an error with a line.
TEST(Yaml, MistakesAnywhereAreTypedErrors) {
  const std::vector<std::string> good = {"a111:",
                                         "  base_path: x/",
                                         "  checkpoints: 'models/c'",
                                         "  loras: |",
                                         "    one",
                                         "    two",
                                         "  is_default: true",
                                         "other:",
                                         "  unet: >-",
                                         "    folded",
                                         "    lines",
                                         "  vae: \"v\"",
                                         "# a comment",
                                         "third:",
                                         "  clip: c",
                                         "  map:",
                                         "    x: y"};
  const std::vector<std::string> mistakes = {
      "\tx: y", "- x",     "x",     "x: [",    "x: {a: b}", "x: 'y",  "x: \"y",  "x: \"\\q\"",        "x: &a b",
      "x: *a",  "x: !t b", "%dir",  "a111: b", "x: y: z",   "x: |z",  "x: \x01", "x: \xff",           "? x",
      "x: @y",  "x: `y",   "--- z", "...",     "'x' y: z",  "\"x: y", "[x]: y",  "x:\n y: z\n  z: w", "      x",
      "x: >3z"};
  int refused = 0;
  for (size_t line = 0; line <= good.size(); ++line)
    for (const std::string& mistake : mistakes) {
      std::string text;
      for (size_t i = 0; i <= good.size(); ++i) {
        if (i == line) text += mistake + "\n";
        if (i < good.size()) text += good[i] + "\n";
      }
      const std::string said = refusal(text);
      if (said == "accepted") continue;
      ++refused;
      EXPECT_THAT(said, testing::StartsWith("'f.yaml' line ")) << text;
    }
  EXPECT_GT(refused, 400);
}

}  // namespace
}  // namespace tempera
