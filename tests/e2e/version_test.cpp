// The data that a report of a problem should contain. commit_test checks the commit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "program.h"

namespace tempera::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

constexpr bool kHasCpu = TEMPERA_HAS_CPU != 0, kHasCuda = TEMPERA_HAS_CUDA != 0;

// Expects a line with the version of the library, or no mention of a library that is not built in.
void expect_listed(const std::string& text, const std::string& library, bool built_in) {
  if (built_in) {
    EXPECT_THAT(text, ContainsRegex("\n" + library + " +[0-9]+\\.[0-9.]+"));
  } else {
    EXPECT_THAT(text, testing::Not(HasSubstr(library)));
  }
}

TEST(Version, NamesCommitBackendsAndLibraries) {
  const Ran ran = run_tempera({"--version"});
  ASSERT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, testing::StartsWith("tempera " TEMPERA_VERSION "\n"));
  EXPECT_THAT(ran.out, ContainsRegex("\ncommit    ([0-9a-f]{12,40}(-modified)?|unknown)\n"));
  const std::string backends = kHasCpu ? (kHasCuda ? "cpu, cuda" : "cpu") : (kHasCuda ? "cuda" : "none");
  EXPECT_THAT(ran.out, HasSubstr("\nbackends  " + backends + "\n"));
  for (const char* library : {"libpng", "libjpeg-turbo", "libwebp", "zlib", "LittleCMS", "SQLite", "nettle", "utf8proc",
                              "fmt", "nlohmann/json", "CLI11"})
    expect_listed(ran.out, library, true);
  for (const char* library : {"oneDNN", "Highway"}) expect_listed(ran.out, library, kHasCpu);
  for (const char* library : {"CUDA", "cuBLASLt", "cuDNN"}) expect_listed(ran.out, library, kHasCuda);
}

}  // namespace
}  // namespace tempera::test
