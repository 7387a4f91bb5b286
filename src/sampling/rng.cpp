// Sources: PyTorch's ATen/native/cpu/DistributionTemplates.h and ATen/core/DistributionsHelper.h (CPU),
// ATen/native/cuda/DistributionTemplates.h (thread layout and offsets on CUDA); Salmon et al. 2011, "Parallel Random
// Numbers: As Easy as 1, 2, 3" (Philox4x32-10); cuRAND's curand_normal4 (Box-Muller pairs of sine and cosine).
// Transcendental functions are evaluated in double where PyTorch's float32 ones differ between machines in the last
// digit.
#include "sampling/rng.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <random>
#include <utility>
#include <vector>

namespace tempera {
namespace {

class CpuGenerator final : public Generator {
 public:
  explicit CpuGenerator(uint64_t seed) : engine_(static_cast<uint32_t>(seed)) {}

  void normal(std::span<float> out) override {
    if (out.size() < kBlock) {
      for (float& value : out) value = static_cast<float>(next_double_normal());
      return;
    }
    for (float& value : out) value = uniform();
    for (size_t i = 0; i + kBlock <= out.size(); i += kBlock) box_muller(out.subspan(i, kBlock));
    if (out.size() % kBlock != 0) {  // the last block overlaps the one before and is drawn anew
      const std::span<float> last = out.last(kBlock);
      for (float& value : last) value = uniform();
      box_muller(last);
    }
  }

 private:
  static constexpr size_t kBlock = 16;

  float uniform() { return static_cast<float>(engine_() & 0xffffffu) * 0x1p-24f; }  // [0, 1) in steps of 2^-24

  double double_uniform() {  // [0, 1) in steps of 2^-53
    const uint64_t high = engine_();
    const uint64_t bits = high << 32 | engine_();
    return static_cast<double>(bits & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
  }

  // The first half of a block holds the radii's uniforms, the second half the angles'.
  static void box_muller(std::span<float> block) {
    for (size_t j = 0; j < kBlock / 2; ++j) {
      const float u = 1.0f - block[j];
      const float v = block[j + kBlock / 2];
      const float radius = std::sqrt(-2.0f * static_cast<float>(std::log(static_cast<double>(u))));
      const auto theta = static_cast<double>(static_cast<float>(2 * std::numbers::pi) * v);
      block[j] = radius * static_cast<float>(std::cos(theta));
      block[j + kBlock / 2] = radius * static_cast<float>(std::sin(theta));
    }
  }

  // Short tensors are drawn in double, in pairs of which the second waits for the next value, also of a later call.
  double next_double_normal() {
    if (waiting_) return *std::exchange(waiting_, std::nullopt);
    const double u = double_uniform();
    const double v = double_uniform();
    const double radius = std::sqrt(-2 * std::log1p(-v));
    const double theta = 2 * std::numbers::pi * u;
    waiting_ = radius * std::sin(theta);
    return radius * std::cos(theta);
  }

  std::mt19937 engine_;
  std::optional<double> waiting_;
};

constexpr uint64_t kThreadsPerBlock = 256;
constexpr uint64_t kPerCall = 4;  // values that a counter yields

class CudaGenerator final : public Generator {
 public:
  CudaGenerator(uint64_t seed, CudaDevice device)
      : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)}, stream_(seed, device) {}

  void normal(std::span<float> out) override {
    if (out.empty()) return;
    const uint64_t n = out.size();
    const PhiloxDraw draw = stream_.next(n);
    for (uint64_t thread = 0; thread < std::min(draw.threads, n); ++thread) {
      uint64_t index = thread;
      for (uint64_t counter = draw.counter; index < n; ++counter)
        for (const float value : normal4(counter, thread)) {
          if (index < n) out[index] = value;
          index += draw.threads;
        }
    }
  }

 private:
  // Philox4x32-10 of the 128-bit counter (counter, thread).
  std::array<uint32_t, 4> philox(uint64_t counter, uint64_t thread) const {
    std::array<uint32_t, 4> c = {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32),
                                 static_cast<uint32_t>(thread), static_cast<uint32_t>(thread >> 32)};
    std::array<uint32_t, 2> key = key_;
    for (int round = 0; round < 10; ++round) {
      const uint64_t a = uint64_t{0xD2511F53} * c[0];
      const uint64_t b = uint64_t{0xCD9E8D57} * c[2];
      c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ key[0], static_cast<uint32_t>(b),
           static_cast<uint32_t>(a >> 32) ^ c[3] ^ key[1], static_cast<uint32_t>(a)};
      key[0] += 0x9E3779B9u;
      key[1] += 0xBB67AE85u;
    }
    return c;
  }

  std::array<float, kPerCall> normal4(uint64_t counter, uint64_t thread) const {
    const std::array<uint32_t, 4> bits = philox(counter, thread);
    std::array<float, kPerCall> values;
    for (size_t pair = 0; pair < kPerCall; pair += 2) {
      constexpr float kAngle = 0x1p-32f * static_cast<float>(2 * std::numbers::pi);
      const float u = std::fma(static_cast<float>(bits[pair]), 0x1p-32f, 0x1p-33f);
      const float angle = std::fma(static_cast<float>(bits[pair + 1]), kAngle, kAngle / 2);
      const float radius = std::sqrt(-2.0f * static_cast<float>(std::log(static_cast<double>(u))));
      const uint32_t phase = phase_of(angle);
      values[pair] = radius * fast_sine(phase);
      values[pair + 1] = radius * fast_sine(phase + (1u << (kPhaseBits - 2)));
    }
    return values;
  }

  // __sincosf uses the card's sine unit. With a radius of 5, its errors exceed 1e-6. Nearly all of them are from the
  // argument (observed on an H100): it is converted to revolutions, rounded towards zero to 25 bits, and mirrored in
  // odd quadrants by inverting its bits.
  static constexpr int kPhaseBits = 25;

  static uint32_t phase_of(float angle) {  // 0 <= angle < 2 pi
    const double turns = static_cast<double>(angle) * static_cast<double>(0.15915494f);
    auto rounded = static_cast<float>(turns);
    if (static_cast<double>(rounded) > turns) rounded = std::nextafter(rounded, 0.0f);
    return static_cast<uint32_t>(rounded * static_cast<float>(1u << kPhaseBits));
  }

  static float fast_sine(uint32_t phase) {
    constexpr uint32_t kQuarter = 1u << (kPhaseBits - 2);
    const uint32_t quadrant = phase / kQuarter % 4;
    const uint32_t place = quadrant % 2 == 0 ? phase % kQuarter : kQuarter - 1 - phase % kQuarter;
    const double sine = std::sin(place * (std::numbers::pi / 2 / kQuarter));
    return static_cast<float>(quadrant < 2 ? sine : -sine);
  }

  const std::array<uint32_t, 2> key_;
  PhiloxStream stream_;
};

}  // namespace

PhiloxStream::PhiloxStream(uint64_t seed, CudaDevice device)
    : seed_(seed),
      max_threads_(static_cast<uint64_t>(device.multiprocessors) *
                   (static_cast<uint64_t>(device.threads_per_multiprocessor) / kThreadsPerBlock) * kThreadsPerBlock) {}

PhiloxDraw PhiloxStream::next(uint64_t elements) {
  const uint64_t whole_blocks = (elements + kThreadsPerBlock - 1) / kThreadsPerBlock * kThreadsPerBlock;
  const PhiloxDraw draw{seed_, counter_, std::min(whole_blocks, max_threads_)};
  if (elements > 0) counter_ += (elements - 1) / (draw.threads * kPerCall) + 1;
  return draw;
}

std::unique_ptr<Generator> make_generator(Rng rng, uint64_t seed, CudaDevice device) {
  if (rng == Rng::cuda) return std::make_unique<CudaGenerator>(seed, device);
  return std::make_unique<CpuGenerator>(seed);
}

}  // namespace tempera
