// Models, folders and names as people have them, and what public bug reports say goes wrong with them: a picture that
// is right, or one sentence with the remedy before any work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "image/png.h"
#include "program.h"
#include "tiny_model.h"

namespace tempera::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

PngFile png_of(const fs::path& path) {
  const std::string bytes = read_file(path);
  return read_png(std::as_bytes(std::span(bytes)), path.string());
}

class Faults : public testing::Test {
 protected:
  Ran run(const std::vector<std::string>& arguments, Surroundings surroundings = {}) {
    surroundings.folder = folder_.path();
    return run_tempera(arguments, surroundings);
  }
  TemporaryFolder folder_;
};

TEST_F(Faults, ASingleFileNeedsNothingElse) {
  ASSERT_EQ(run({"synth", "--preset", "small", "small.safetensors"}).status, 0);
  const Ran ran = run({"generate", "a red apple", "--model", "small.safetensors", "--width", "64", "--height", "64",
                       "--steps", "1", "--device", "cpu", "--output", "a.png"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_EQ(ran.err, "");
  EXPECT_EQ(png_of(folder_.path() / "a.png").image.width, 64);
}

}  // namespace
}  // namespace tempera::test
