// Embeddings of words in one engine: every request has its own, and no parameter is packed again.
#include <gtest/gtest.h>

#include <span>

#include "jobs.h"
#include "support/test_files.h"

namespace tempera::test {
namespace {

constexpr int64_t kFirstWidth = 64, kSecondWidth = 128;  // of the text encoders of the model that is part of tempera

std::string write_word(const TemporaryFolder& folder, const std::string& name, int64_t count, float scale) {
  std::vector<std::pair<TensorSpec, std::vector<std::byte>>> tensors;
  for (const auto& [tensor, width] : {std::pair("clip_g", kSecondWidth), std::pair("clip_l", kFirstWidth)}) {
    std::vector<float> values(static_cast<size_t>(count * width));
    for (size_t i = 0; i < values.size(); ++i) values[i] = scale * static_cast<float>(i % 7) / 64;
    const auto bytes = std::as_bytes(std::span(values));
    tensors.push_back({{tensor, DType::f32, {count, width}}, {bytes.begin(), bytes.end()}});
  }
  const std::filesystem::path file = folder / (name + ".safetensors");
  write_safetensors(file, tensors);
  return file.string();
}

TEST(TextualInversion, OtherWordsPackNothing) {
  const TemporaryFolder folder;
  const std::string one = write_word(folder, "zqone", 2, 1), two = write_word(folder, "zqtwo", 1, -3);
  std::vector<Request> requests(5, small_request("a zqword apple", 1, 2));
  requests[1].textual_inversion = {one + ":zqword"};
  requests[2].textual_inversion = {two + ":zqword"};
  requests[3].textual_inversion = {two, one + ":zqword"};
  Engine engine(small_engine());
  std::vector<std::vector<Image>> images;
  size_t packed = 0;
  for (const Request& request : requests) {
    Job job = engine.start(request);
    images.push_back(finished(engine, job));
    if (packed == 0) packed = engine.bytes_packed();
    EXPECT_EQ(engine.bytes_packed(), packed) << "packed again";
  }
  EXPECT_NE(images[1][0].rgb, images[0][0].rgb);
  EXPECT_NE(images[2][0].rgb, images[0][0].rgb);
  EXPECT_NE(images[2][0].rgb, images[1][0].rgb) << "the word is cached for its vectors";
  EXPECT_EQ(images[3][0].rgb, images[1][0].rgb);
  expect_equal(images[4], images[0], "without words again");
  for (size_t i = 0; i < 4; ++i) expect_equal(images[i], alone(requests[i]), "alone");
}

// The file is read for every request.
TEST(TextualInversion, AFileThatWasReplacedIsReadAgain) {
  const TemporaryFolder folder;
  Request request = small_request("a zqword apple", 1, 2);
  request.textual_inversion = {write_word(folder, "zqword", 1, 1)};
  Engine engine(small_engine());
  Job first = engine.start(request);
  write_word(folder, "zqword", 1, 2);
  Job second = engine.start(request);
  EXPECT_NE(finished(engine, first)[0].rgb, finished(engine, second)[0].rgb);
}

}  // namespace
}  // namespace tempera::test
