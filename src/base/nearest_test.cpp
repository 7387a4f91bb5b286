#include "base/nearest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "tempera/nearest.h"

namespace tempera {
namespace {
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Nearest, FindsTypingMistakes) {
  const std::vector<std::string> names = {"--steps", "--seed", "--scheduler", "--scheduler-config"};
  EXPECT_EQ(nearest("--stesp", names), "--steps");
  EXPECT_EQ(nearest("--sede", names), "--seed");
  EXPECT_EQ(nearest("--shceduler", names), "--scheduler");
  EXPECT_EQ(nearest("--steps", names), "--steps");
}

TEST(Nearest, GivesNothingForWhatIsFar) {
  const std::vector<std::string> names = {"generate", "info"};
  EXPECT_EQ(nearest("--banana", names), "");
  EXPECT_EQ(nearest("", names), "");
  EXPECT_EQ(nearest(std::string(1000, 'x'), names), "");
}

TEST(NearestNames, HasFewestEditsFirst) {
  constexpr std::array<std::string_view, 4> kNames = {"heun", "euler_a", "euler", "lms"};
  EXPECT_THAT(nearest_names("eular", kNames, 2), ElementsAre("euler", "euler_a"));
  EXPECT_THAT(nearest_names("lm", kNames, 1), ElementsAre("lms"));
  EXPECT_THAT(nearest_names("euler", kNames, 9), ElementsAre("euler", "euler_a", "heun", "lms"));
  EXPECT_THAT(nearest_names("x", {}, 3), IsEmpty());
}

TEST(NearestNames, KeepsTheOrderOfEquals) {
  constexpr std::array<std::string_view, 3> kNames = {"ab", "ac", "ad"};
  EXPECT_THAT(nearest_names("a", kNames, 3), ElementsAre("ab", "ac", "ad"));
  EXPECT_THAT(nearest_names("", kNames, 1), ElementsAre("ab"));
}

TEST(NearestNames, ReadsTheBeginningOfALongText) {
  constexpr std::array<std::string_view, 2> kNames = {"b", "aaaa"};
  EXPECT_THAT(nearest_names(std::string(1 << 20, 'a'), kNames, 1), ElementsAre("aaaa"));
}

}  // namespace
}  // namespace tempera
