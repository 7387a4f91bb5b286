#include "tempera/suggest.h"

#include <gtest/gtest.h>

namespace tempera {
namespace {

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

}  // namespace
}  // namespace tempera
