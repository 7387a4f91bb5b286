// The output of `bench algorithms` for a file of choices. The file is text, so the test runs on any machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "program.h"

namespace tempera::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;
namespace fs = std::filesystem;

class Algorithms : public testing::Test {
 protected:
  void SetUp() override { setenv("XDG_CACHE_HOME", folder_.path().c_str(), 1); }
  void TearDown() override { unsetenv("XDG_CACHE_HOME"); }

  void write(const std::string& text) {
    fs::create_directories(file_.parent_path());
    std::ofstream(file_, std::ios::binary) << text;
  }
  static std::string shown(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"bench", "algorithms"};
    words.insert(words.end(), more.begin(), more.end());
    const Ran ran = run_tempera(words);
    EXPECT_EQ(ran.status, 0) << ran.err;
    EXPECT_EQ(ran.err, "");
    return ran.out;
  }

  const TemporaryFolder folder_;
  const fs::path file_ = folder_.path() / "tempera" / "cuda-algorithms.txt";
};

TEST_F(Algorithms, AreShownByCardAndLibrary) {
  write(
      "Made-up Card\tcuDNN 9.1.0\tconvolution 1x2\t3\tcuDNN engine 38\t12.5\n"
      "an old line\t1\t2.5\n"
      "Made-up Card\tcuBLASLt 13.2.0\tlinear 1x2x3\t1\thopper_product 0: 128x256\t7.0\n"
      "Made-up Card\tcuDNN 9.1.0\tconvolution 1x2\t1\tcuDNN engine 4\t11.0\n");
  const std::string table = shown();
  EXPECT_THAT(table, StartsWith(file_.string() + "\n\nMade-up Card, cuBLASLt 13.2.0\n"));
  EXPECT_THAT(table, HasSubstr("         7.0  hopper_product 0: 128x256  linear 1x2x3\n\nMade-up Card, cuDNN 9.1.0\n"));
  EXPECT_THAT(table, HasSubstr("        11.0  cuDNN engine 4  convolution 1x2\n"));
  EXPECT_THAT(table, testing::Not(HasSubstr("engine 38")));

  const json found = json::parse(shown({"--json"}));
  EXPECT_EQ(found.at("file"), file_.string());
  ASSERT_EQ(found.at("choices").size(), 2u);
  EXPECT_EQ(found.at("choices").at(1), (json{{"card", "Made-up Card"},
                                             {"library", "cuDNN 9.1.0"},
                                             {"problem", "convolution 1x2"},
                                             {"algorithm", "cuDNN engine 4"},
                                             {"candidate", 1},
                                             {"seconds", 11e-6}}));
}

TEST_F(Algorithms, AreForgottenWhenAsked) {
  write("Made-up Card\tcuDNN 9.1.0\tconvolution 1x2\t3\tcuDNN engine 38\t12.5\n");
  EXPECT_THAT(shown({"--clear"}), StartsWith(file_.string() + " holds no choices: "));
  EXPECT_FALSE(fs::exists(file_));
  EXPECT_THAT(json::parse(shown({"--clear", "--json"})).at("choices"), testing::IsEmpty());
  EXPECT_THAT(shown(), StartsWith(file_.string() + " holds no choices: "));
}

TEST_F(Algorithms, AFolderInTheirPlaceIsAnError) {
  fs::create_directories(file_);
  for (const auto& words : {std::vector<std::string>{"bench", "algorithms"}, {"bench", "algorithms", "--clear"}}) {
    const Ran ran = run_tempera(words);
    EXPECT_EQ(ran.status, 1);
    EXPECT_THAT(ran.err, StartsWith("tempera: error: cannot "));
    EXPECT_THAT(ran.err, HasSubstr(file_.string()));
  }
  EXPECT_TRUE(fs::exists(file_));
}

}  // namespace
}  // namespace tempera::test
