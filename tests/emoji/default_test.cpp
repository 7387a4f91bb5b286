// Without --model, every command uses the embedded model, and what the request leaves out is the model's word.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "e2e/program.h"
#include "glyphs.h"

namespace tempera::test {
namespace {

using testing::HasSubstr;

TEST(EmojiByDefault, Generates) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "apple.png";
  const Ran ran = run_tempera({"generate", "a red apple", "--steps", "4", "--seed", "1", "--output", file});
  ASSERT_EQ(ran.status, 0) << ran.err;
  const Image8 image = read_picture(file);
  EXPECT_EQ(image.width, 256);
  EXPECT_EQ(image.height, 256);
  const Glyphs glyphs;
  const Tile picture = reduced({image.width, image.height, image.rgb, 1, ""});
  EXPECT_THAT(nearest(picture, glyphs.of_style("noto")).name, HasSubstr("apple"));
}

TEST(EmojiByDefault, Plans) {
  const Ran ran = run_tempera({"plan", "--json"});
  ASSERT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("emoji-xl"));
  EXPECT_THAT(ran.out, HasSubstr("\"runs\": 20"));
}

TEST(EmojiByDefault, IsDescribed) {
  const Ran ran = run_tempera({"info"});
  ASSERT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("emoji-xl"));
  EXPECT_THAT(ran.out, HasSubstr("v_prediction"));
}

}  // namespace
}  // namespace tempera::test
