// The autoencoders reconstruct pictures: the signal-to-noise ratio of reconstructed glyphs, as tools/train measured it
// with diffusers. The repository has few pictures. If tools/train has made them, all pictures are measured.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>

#include "base/json.h"
#include "glyphs.h"
#include "models/config_json.h"
#include "models/vae.h"
#include "passes/passes.h"
#include "runtime/executable.h"
#include "support/backends.h"
#include "weights/naming.h"
#include "weights/safetensors.h"

namespace tempera::test {
namespace {

constexpr int kSide = 256, kLatentSide = kSide / 8, kChannels = 4;
constexpr size_t kValues = size_t{kSide} * kSide * 3;
constexpr double kLeastDecibels = 27, kLeastTinyDecibels = 24;

// The encoder or the decoder of an autoencoder, ready to run.
class Half {
 public:
  Half(Backend& backend, Queue& queue, const Graph& graph, const Checkpoint& weights) {
    Program program = lower(optimize(graph), backend.target());
    executable_.emplace(std::move(program), backend, queue, weights);
    (*executable_)->load();
  }

  std::vector<float> run(std::string_view input, const std::vector<float>& values, std::string_view output) {
    Executable& executable = **executable_;
    executable.write_input(input, values);
    executable.run();
    return executable.read_output(output);
  }

 private:
  std::optional<LoneExecutable> executable_;
};

std::string config_of(const char* part) {
  return read_text_file(emoji_model() / part / "config.json", 1 << 20);
}

std::shared_ptr<const Checkpoint> weights_of(const char* part) {
  return std::make_shared<SafetensorsFile>(emoji_model() / part / "diffusion_pytorch_model.safetensors");
}

class EmojiSharp : public testing::Test {
 protected:
  // The mean over pictures, in decibels.
  struct Sharpness {
    double full = 0, tiny_decoder = 0, tiny_both = 0;
    size_t pictures = 0;
  };

  // Encodes and decodes a picture of bytes (256, 256, 3) with the autoencoders.
  void measure(std::span<const uint8_t> rgb, Sharpness& sum) {
    std::vector<float> picture(rgb.size());
    for (size_t i = 0; i < rgb.size(); ++i) picture[i] = static_cast<float>(rgb[i]) / 127.5f - 1;
    const std::vector<float> moments = encoder_.run("image", picture, "moments");
    std::vector<float> mean;
    for (size_t i = 0; i < moments.size(); i += 2 * kChannels)
      mean.insert(mean.end(), moments.begin() + static_cast<std::ptrdiff_t>(i),
                  moments.begin() + static_cast<std::ptrdiff_t>(i + kChannels));
    const std::vector<float> tiny_latent = tiny_encoder_.run("image", picture, "latent");
    sum.full += decibels(decoder_.run("latent", mean, "image"), picture);
    sum.tiny_decoder += decibels(tiny_decoder_.run("latent", mean, "image"), picture);
    sum.tiny_both += decibels(tiny_decoder_.run("latent", tiny_latent, "image"), picture);
    ++sum.pictures;
  }

  static void expect_sharp(const Sharpness& sum) {
    ASSERT_GT(sum.pictures, 0u);
    const double count = static_cast<double>(sum.pictures);
    fmt::print("{} pictures: autoencoder {:.2f} dB, tiny decoder {:.2f} dB, tiny encoder and decoder {:.2f} dB\n",
               sum.pictures, sum.full / count, sum.tiny_decoder / count, sum.tiny_both / count);
    EXPECT_GE(sum.full / count, kLeastDecibels);
    EXPECT_GE(sum.tiny_decoder / count, kLeastTinyDecibels);
    EXPECT_GE(sum.tiny_both / count, kLeastTinyDecibels);
  }

 private:
  // Peak signal-to-noise ratio. Pixels are from -1 to 1; values of a decoder outside of that are clamped.
  static double decibels(const std::vector<float>& found, const std::vector<float>& expected) {
    double squares = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      const double error = std::clamp(found.at(i), -1.0f, 1.0f) - expected[i];
      squares += error * error / 4;
    }
    return -10 * std::log10(squares / static_cast<double>(expected.size()));
  }

  const std::unique_ptr<Backend> backend_ = make_backend(backend_names().back());
  const std::unique_ptr<Queue> queue_ = backend_->make_queue();
  const VaeGraphOptions options_{.height = kLatentSide, .width = kLatentSide, .pixels = PixelFormat::float32};
  const VaeConfig config_ = parse_vae_config(config_of("vae"), "vae");
  const TinyVaeConfig tiny_config_ = parse_tiny_vae_config(config_of("vae_tiny"), "vae_tiny");
  const std::shared_ptr<const Checkpoint> weights_ = with_canonical_names(weights_of("vae"), "vae");
  const std::shared_ptr<const Checkpoint> tiny_weights_ = weights_of("vae_tiny");
  Half encoder_{*backend_, *queue_, vae_encoder_graph(config_, options_), *weights_};
  Half decoder_{*backend_, *queue_, vae_decoder_graph(config_, options_), *weights_};
  Half tiny_encoder_{*backend_, *queue_, tiny_vae_encoder_graph(tiny_config_, options_), *tiny_weights_};
  Half tiny_decoder_{*backend_, *queue_, tiny_vae_decoder_graph(tiny_config_, options_), *tiny_weights_};
};

// The pictures are in one row of the sheet.
TEST_F(EmojiSharp, SomeGlyphs) {
  const Image8 sheet = load_picture(std::filesystem::path(TEMPERA_TEST_DATA) / "emoji/whole.png").image;
  ASSERT_EQ(sheet.width % kSide, 0);
  Sharpness sum;
  for (int left = 0; left < sheet.width; left += kSide) {
    std::vector<uint8_t> picture;
    for (int y = 0; y < kSide; ++y) {
      const auto row = sheet.rgb.begin() + (static_cast<std::ptrdiff_t>(y) * sheet.width + left) * 3;
      picture.insert(picture.end(), row, row + kSide * 3);
    }
    measure(picture, sum);
  }
  expect_sharp(sum);
}

TEST_F(EmojiSharp, SlowAllGlyphs) {
  std::ifstream file(TEMPERA_SOURCE_DIR "/build/emoji/data/pictures.rgb", std::ios::binary);
  if (!file) GTEST_SKIP() << "tools/train/make_test_data.mjs has not been run";
  Sharpness sum;
  std::vector<uint8_t> picture(kValues);
  while (file.read(reinterpret_cast<char*>(picture.data()), static_cast<std::streamsize>(kValues)))
    measure(picture, sum);
  expect_sharp(sum);
}

}  // namespace
}  // namespace tempera::test
