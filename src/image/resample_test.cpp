#include "image/resample.h"

#include <gtest/gtest.h>

#include "support/init_picture_goldens.h"

namespace tempera {
namespace {

using test::init_picture_goldens;
using test::noise;
using test::size_of;
using test::to_hex;

Resampling filter_of(const nlohmann::json& golden) {
  const std::string name = golden.at("filter");
  if (name == "nearest") return Resampling::nearest;
  if (name == "bilinear") return Resampling::bilinear;
  return name == "bicubic" ? Resampling::bicubic : Resampling::lanczos;
}

TEST(Resample, EqualsPillow) {
  for (const auto& golden : init_picture_goldens("resample")) {
    const auto [width, height] = size_of(golden);
    const auto [new_width, new_height] = size_of(golden, "new_size");
    const int channels = golden.at("channels");
    std::optional<PixelBox> box;
    if (!golden.at("box").is_null()) box = golden.at("box").get<PixelBox>();
    const std::vector<uint8_t> bytes = noise(golden.at("seed"), static_cast<size_t>(width) * height * channels);
    EXPECT_EQ(to_hex(resample(bytes, width, height, channels, new_width, new_height, filter_of(golden), box)),
              golden.at("bytes"))
        << golden;
  }
}

}  // namespace
}  // namespace tempera
