#include "output_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tempera/error.h"

namespace tempera::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string message_of(const std::string& pattern) {
  try {
    const OutputPattern parsed(pattern);
    parsed.check(7, 1, 1);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    return error.what();
  }
  return "";
}

TEST(OutputPattern, FillsInSeedAndIndex) {
  EXPECT_THAT(OutputPattern("a-{seed}-{index}.png").names({7, 8}), ElementsAre("a-7-0.png", "a-8-1.png"));
  EXPECT_THAT(OutputPattern("x/{index}{index}.PNG").names({7, 8}), ElementsAre("x/00.PNG", "x/11.PNG"));
}

TEST(OutputPattern, PlainNamesOfSeveralPicturesAreNumbered) {
  EXPECT_THAT(OutputPattern("d/a.png").names({7}), ElementsAre("d/a.png"));
  EXPECT_THAT(OutputPattern("d/a.b.png").names({7, 8, 9}), ElementsAre("d/a.b.png", "d/a.b-1.png", "d/a.b-2.png"));
}

TEST(OutputPattern, TakenNamesAreLeftAlone) {
  const auto taken = [](const std::filesystem::path& path) { return path == "a-7.png" || path == "a-7-1.png"; };
  EXPECT_THAT(OutputPattern("a-{seed}.png").names({7, 8}, taken), ElementsAre("a-7-2.png", "a-8.png"));
}

TEST(OutputPattern, TheNextNumberIsTaken) {
  const auto taken = [](const std::filesystem::path& path) { return path == "a.png" || path == "a-2.png"; };
  EXPECT_EQ(OutputPattern("a.png").name(7, 0, 0, taken), "a-1.png");
  EXPECT_EQ(OutputPattern("a.png").name(7, 0, 2, taken), "a-3.png");
}

TEST(OutputPattern, NamesMadeUpNeverMeetNamesAskedFor) {
  // Picture 1 would be "1-1.png" by its seed, and the name of picture 0 is "1.png": no two are equal for any seeds.
  EXPECT_THAT(OutputPattern("{seed}.png").names({5, 5, 5}), ElementsAre("5.png", "5-1.png", "5-2.png"));
}

TEST(OutputPattern, RefusesWhatItCannotWrite) {
  EXPECT_THAT(message_of("a-{sed}.png"), HasSubstr("unknown placeholder '{sed}'"));
  EXPECT_THAT(message_of("a-{seed.png"), HasSubstr("unknown placeholder '{seed.png'"));
  EXPECT_THAT(message_of("{seed}/a.png"), HasSubstr("in its folder"));
  EXPECT_THAT(message_of("/no/such/folder/a.png"), HasSubstr("'/no/such/folder' of --output does not exist"));
}

TEST(OutputPattern, RefusesAFoldersName) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("tempera_pattern_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder / "a.png");
  EXPECT_THAT(message_of(folder / "a.png"), HasSubstr("is a folder"));
  EXPECT_EQ(message_of(folder / "b.png"), "");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace tempera::cli
