// A device that generates noise must generate that of the host: the generator of sampling/rng.h is the definition. A
// device that does not must write nothing and return that every time, because callers test it only once.
#include <gtest/gtest.h>

#include <cmath>

#include "sampling/rng.h"
#include "support/backends.h"

namespace tempera {
namespace {

constexpr uint64_t kSeed = 0xffffffff;
constexpr size_t kPictures = 3;
constexpr float kScale = 0.5f;

struct Size {
  int64_t channels, pixels;
  size_t elements() const { return static_cast<size_t>(channels * pixels); }
};
// Odd sizes, several values per counter, several counters per thread, and a draw that starts where others ended.
constexpr Size kSizes[] = {{4, 128 * 128}, {3, 97}, {1, 1}, {4, 90'001}, {4, 360'003}, {4, 128 * 128}};

class Noise : public testing::TestWithParam<std::string> {
 protected:
  // One draw for each picture, with seeds over 32 bits, into memory that is filled with `before`. Empty if the backend
  // generates no noise.
  std::vector<float> draw(const Size& size, const PhiloxDraw& next, float before) {
    const size_t n = size.elements();
    std::vector<float> values(kPictures * n, before);
    const auto memory = backend_->allocate(values.size() * sizeof(float));
    backend_->upload(*queue_, memory->data(), std::as_bytes(std::span(values)));
    size_t drawn = 0;
    for (size_t i = 0; i < kPictures; ++i)
      drawn += backend_->draw_normal(*queue_, memory->data() + i * n * sizeof(float),
                                     {kSeed + i, next.counter, next.threads, size.channels, size.pixels, kScale})
                   ? 1
                   : 0;
    backend_->download(*queue_, std::as_writable_bytes(std::span(values)), memory->data());
    EXPECT_EQ(drawn, draws() ? kPictures : 0);
    return values;
  }
  // The host generates the noise for devices that share its memory.
  bool draws() const { return !backend_->host_visible(); }

  std::unique_ptr<Backend> backend_ = test::make_backend(GetParam());
  std::unique_ptr<Queue> queue_ = backend_->make_queue();
};

TEST_P(Noise, IsTheHostsOrNone) {
  PhiloxStream stream(kSeed);
  std::vector<std::unique_ptr<Generator>> generators;
  for (uint64_t i = 0; i < kPictures; ++i) generators.push_back(make_generator(Rng::cuda, kSeed + i));
  for (const Size& size : kSizes) {
    const size_t n = size.elements();
    const std::vector<float> found = draw(size, stream.next(n), 99);
    std::vector<float> planar(n);
    float most = 0;
    for (size_t i = 0; i < kPictures; ++i) {
      generators[i]->normal(planar);
      for (size_t k = 0; k < n; ++k) {
        const size_t c = k / static_cast<size_t>(size.pixels), p = k % static_cast<size_t>(size.pixels);
        const float value = found[i * n + p * static_cast<size_t>(size.channels) + c];
        const float off = std::abs(value - (draws() ? planar[k] * kScale : 99));
        most = off <= most ? most : off;  // keeps NaN
      }
    }
    EXPECT_LE(most, draws() ? 1e-6f : 0) << size.channels << " x " << size.pixels;
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, Noise, testing::ValuesIn(test::backend_names()),
                         [](const auto& backend) { return backend.param; });

}  // namespace
}  // namespace tempera
