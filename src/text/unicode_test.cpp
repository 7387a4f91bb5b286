// The pieces of the tokenizer that look at characters.
#include "text/unicode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tempera {
namespace {
using testing::ElementsAre;

TEST(Unicode, Normalises) {
  EXPECT_EQ(normalise(""), "");
  EXPECT_EQ(normalise("e\u0301 \t\r\n\u00A0\u3000X"), "\u00E9 x");
  EXPECT_EQ(normalise("\u0130\u03A3\u01C5\u1E9E"), "i\u0307\u03C3\u01C6\u00DF");
  EXPECT_EQ(normalise("\u212B\uFB01"), "\u00E5\uFB01");  // canonical, not compatibility
}

TEST(Unicode, SplitsWords) {
  EXPECT_THAT(split_words(" a photo, 12 "), ElementsAre("a", "photo", ",", "1", "2"));
  EXPECT_THAT(split_words("don't they'll 'sup 'x"), ElementsAre("don", "'t", "they", "'ll", "'s", "up", "'", "x"));
  EXPECT_THAT(split_words("!!'s ..."), ElementsAre("!!'", "s", "..."));
  EXPECT_THAT(split_words("\u00E9\u2615\u0663x"), ElementsAre("\u00E9", "\u2615", "\u0663", "x"));
  EXPECT_THAT(split_words("<|endoftext|>!"), ElementsAre("<|", "endoftext", "|>", "!"));
  EXPECT_THAT(split_words("!<|endoftext|>!"), ElementsAre("!<|", "endoftext", "|>!"));
  EXPECT_THAT(split_words("\u2003\n"), ElementsAre());
}

TEST(Unicode, KnowsWordCharacters) {
  EXPECT_TRUE(ends_in_word("\u00E9"));
  EXPECT_TRUE(starts_in_word("_"));
  EXPECT_TRUE(ends_in_word("x1"));
  EXPECT_FALSE(ends_in_word("x "));
  EXPECT_FALSE(starts_in_word("\u2615"));
  EXPECT_FALSE(starts_in_word(""));
  EXPECT_FALSE(ends_in_word(""));
}

}  // namespace
}  // namespace tempera
