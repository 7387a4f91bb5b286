#include "base/utf8.h"

#include <gtest/gtest.h>

namespace tempera {
namespace {

TEST(Utf8, ReplacesEachIllFormedPartOnce) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(valid_utf8(""), "");
  EXPECT_EQ(valid_utf8("a\xC3\xA9\xE2\x98\x95\xF0\x9F\x98\x80"), "a\xC3\xA9\xE2\x98\x95\xF0\x9F\x98\x80");
  EXPECT_EQ(valid_utf8(std::string_view("a\0b", 3)), std::string_view("a\0b", 3));
  EXPECT_EQ(valid_utf8("\xFFz\x80"), bad + "z" + bad);
  EXPECT_EQ(valid_utf8("\xC3"), bad);
  EXPECT_EQ(valid_utf8("\xC3("), bad + "(");
  EXPECT_EQ(valid_utf8("\xC0\xAF"), bad + bad);
  EXPECT_EQ(valid_utf8("\xE2\x98z\xF0\x9F\x98"), bad + "z" + bad);   // cut off: one part
  EXPECT_EQ(valid_utf8("\xED\xA0\x80"), bad + bad + bad);            // a surrogate
  EXPECT_EQ(valid_utf8("\xF4\x90\x80\x80"), bad + bad + bad + bad);  // beyond U+10FFFF
  EXPECT_EQ(valid_utf8("\xE0\x80\x80"), bad + bad + bad);            // overlong
}

TEST(Utf8, EveryCodePointRoundTrips) {
  for (char32_t code = 0; code <= 0x10FFFF; ++code) {
    if (code >= 0xD800 && code < 0xE000) continue;
    std::string text = "x";
    append_utf8(text, code);
    size_t at = 1;
    ASSERT_EQ(next_code_point(text, at), code);
    ASSERT_EQ(at, text.size());
    ASSERT_EQ(valid_utf8(text), text);
  }
}

}  // namespace
}  // namespace tempera
