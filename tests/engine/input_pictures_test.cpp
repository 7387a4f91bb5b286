// Requests that start from pictures or latents, with a second pass and a refiner: their invariants. The values are
// compared with diffusers' in tests/e2e/diffusers_test.cpp.
#include "input_pictures.h"

#include <gtest/gtest.h>

#include "jobs.h"
#include "support/test_files.h"

namespace tempera::test {
namespace {

// Pictures of batches of different sizes.
void expect_same(const std::vector<Image>& images, const std::vector<Image>& expected) {
  if (on_card()) return expect_close(images, expected, "another batch size");
  ASSERT_EQ(images.size(), expected.size());
  for (size_t i = 0; i < images.size(); ++i) EXPECT_TRUE(images[i].rgb == expected[i].rgb) << i;
}

class InputPictures : public testing::Test {
 protected:
  InputPictures() {
    save_picture(file("a.png"), waves(64, 64, 5));
    save_picture(file("b.png"), waves(64, 64, 9));
    save_picture(file("mask.png"), disc(64, 64));
  }

  std::filesystem::path file(const char* name) const { return folder_ / name; }

  Request from_picture(const char* name = "a.png") const {
    Request request = small_request("a red apple", 1, 4);
    request.init_image = {file(name).string()};
    request.strength = 0.75;
    return request;
  }

  Request inpainting() const {
    Request request = from_picture();
    request.mask_image = {file("mask.png").string()};
    return request;
  }

  Request second_pass(const char* upscaler) const {
    Request request = small_request("a red apple", 1, 3);
    request.hires_scale = 1.5;
    request.hires_upscaler = upscaler;
    return request;
  }

  std::vector<Request> all_kinds() const {
    Request soft = inpainting();
    soft.mask_mode = "soft";
    soft.scheduler = "dpmpp_2m";
    Request several = from_picture();
    several.init_image.push_back(file("b.png").string());
    return {from_picture(), inpainting(), soft, several, second_pass("latent-bicubic"), second_pass("lanczos")};
  }

  TemporaryFolder folder_;
};

// The model as its own refiner draws what it would have drawn alone: Euler keeps no history, and a handover changes no
// bit.
TEST_F(InputPictures, AModelIsItsOwnRefiner) {
  EngineOptions options = small_engine();
  options.refiner = (std::filesystem::path(TEMPERA_SOURCE_DIR) / "models/emoji-xl").string();
  const Request plain = small_request("a red apple", 1, 10);
  for (const double start : {0.0, 0.3, 0.8, 1.0}) {
    Request request = plain;
    request.refiner_start = start;
    const Result result = Pipeline(options).generate(request);
    EXPECT_TRUE(result.images[0].rgb == alone(plain)[0].rgb) << start;
  }
  Request masked = inpainting(), masked_alone = masked;
  masked.refiner_start = 0.8;
  EXPECT_TRUE(Pipeline(options).generate(masked).images[0].rgb == alone(masked_alone)[0].rgb);
}

// Two commands with a file of latents between them are one request.
TEST_F(InputPictures, AHandoverThroughAFile) {
  const Request plain = small_request("a red apple", 1, 10);
  Request first = plain;
  first.denoising_end = 0.6;
  first.output_type = "latent";
  first.num_images_per_prompt = 2;
  const Result begun = Pipeline(small_engine()).generate(first);
  EXPECT_TRUE(begun.images[0].rgb.empty());
  ASSERT_EQ(begun.images[0].latents.size(), 4u * 8 * 8);
  save_latents(file("latents.safetensors"), begun.images);
  Request second = small_request("a red apple", 1, 10);
  second.latents = file("latents.safetensors").string();
  second.width = second.height = 0;
  second.denoising_start = 0.6;
  const Result both = Pipeline(small_engine()).generate(second);
  ASSERT_EQ(both.images.size(), 2u);
  expect_same({both.images[0]}, alone(plain));
  second.latents_index = 1;
  const Result one = Pipeline(small_engine()).generate(second);
  ASSERT_EQ(one.images.size(), 1u);
  expect_same(one.images, {both.images[1]});
}

TEST_F(InputPictures, ResidencyChangesNoBit) {
  for (const Request& request : all_kinds())
    for (const char* offload : {"none", "model", "sequential"}) {
      EngineOptions options = small_engine();
      options.offload = offload;
      const Result result = Pipeline(options).generate(request);
      ASSERT_EQ(result.images.size(), alone(request).size());
      for (size_t i = 0; i < result.images.size(); ++i)
        EXPECT_TRUE(result.images[i].rgb == alone(request)[i].rgb) << offload << ", " << request.hires_upscaler;
    }
}

// Jobs of all kinds in turns and in one batch, with previews of every loop.
TEST_F(InputPictures, JobsOfAllKindsTogether) {
  Engine engine(small_engine());
  std::vector<Request> requests = all_kinds();
  requests.push_back(small_request("a cat", 2, 5));
  std::vector<Job> jobs;
  for (const Request& request : requests) jobs.push_back(engine.start(request));
  while (true) {
    std::vector<Job*> left;
    for (Job& job : jobs)
      if (!job.finished()) left.push_back(&job);
    if (left.empty()) break;
    engine.step(left);
    engine.decode(*left.front(), 0);
  }
  for (size_t i = 0; i < jobs.size(); ++i) expect_as_alone(finished(engine, jobs[i]), requests[i]);
}

TEST_F(InputPictures, PictureIStartsFromFileI) {
  Request both = from_picture();
  both.init_image.push_back(file("b.png").string());
  Request second = from_picture("b.png");
  second.seed = 2;
  expect_same({alone(both)[0]}, alone(from_picture()));
  expect_same({alone(both)[1]}, alone(second));
}

TEST_F(InputPictures, PastingKeepsThePixelsUnderBlackMask) {
  Request request = inpainting();
  request.paste = "on";
  const Image& image = alone(request)[0];
  const Image input = waves(64, 64, 5), mask = disc(64, 64);
  size_t kept = 0;
  for (size_t i = 0; i < mask.rgb.size(); ++i)
    if (mask.rgb[i] < 128) {
      ASSERT_EQ(image.rgb[i], input.rgb[i]) << i;
      ++kept;
    }
  EXPECT_GT(kept, mask.rgb.size() / 4);
  EXPECT_FALSE(image.rgb == input.rgb);
  EXPECT_TRUE(image.composite);
  EXPECT_FALSE(alone(small_request("a red apple", 1))[0].composite);
}

// A white soft mask frees all pixels in all steps, as a white hard mask.
TEST_F(InputPictures, SoftMasksOfWhiteAndBlackAreHard) {
  Image hard = disc(64, 64);
  for (uint8_t& value : hard.rgb) value = value < 128 ? 0 : 255;
  save_picture(file("hard.png"), hard);
  Request request = inpainting();
  request.mask_image = {file("hard.png").string()};
  const std::vector<uint8_t> expected = alone(request)[0].rgb;
  request.mask_mode = "soft";
  EXPECT_TRUE(alone(request)[0].rgb == expected);
  request.mask_image = {file("mask.png").string()};
  EXPECT_FALSE(alone(request)[0].rgb == expected);
}

TEST_F(InputPictures, OutpaintingHasTheLargerSize) {
  Request request = from_picture();
  request.width = request.height = 0;
  request.extend = {16, 0, 24, 8};
  EXPECT_EQ(alone(request)[0].width, 104);
  EXPECT_EQ(alone(request)[0].height, 72);
}

}  // namespace
}  // namespace tempera::test
