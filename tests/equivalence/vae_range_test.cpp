// The residual stream of the published autoencoder exceeds the range of f16 (65504). Its pictures are then black,
// unless the stream is scaled down. The weights here are similar: all that is added to the stream is 2^18 times larger.
// The norms remove this factor, so the picture must not change.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "models/vae.h"
#include "passes/passes.h"
#include "runtime/executable.h"
#include "support/backends.h"
#include "support/random_checkpoint.h"

namespace tempera {
namespace {

// 2^18 for a tensor that is added to the stream from outside of it: weights after a norm or the latent, and every bias.
float large_stream(std::string_view name) {
  const auto is = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  const bool bias = name.ends_with(".bias");
  const bool adds =
      is("conv_in.") || is(".conv2.") || is(".to_out.") || (bias && (is(".conv_shortcut.") || is(".upsamplers.")));
  return adds ? 1 << 18 : 1;
}

// Of the f32 outputs of all steps.
class LargestActivation final : public StepWatcher {
 public:
  explicit LargestActivation(Executable& executable) : executable_(executable) {}
  void begin(const Program&, size_t) override {}
  void after(size_t step) override {
    const Ref& output = executable_.program().steps[step].output;
    if (output.desc.dtype != DType::f32) return;
    const std::vector<std::byte> bytes = executable_.read(output);
    const auto* values = reinterpret_cast<const float*>(bytes.data());
    for (size_t i = 0; i < bytes.size() / sizeof(float); ++i) largest = std::max(largest, std::abs(values[i]));
  }
  void end() override {}

  float largest = 0;

 private:
  Executable& executable_;
};

struct Decoded {
  std::vector<uint8_t> rgb;
  float largest = 0;  // the largest activation in f32 programs
};

Decoded decode(Backend& backend, DType dtype, bool large, bool observe) {
  const VaeGraphOptions options{.height = 12, .width = 16, .dtype = dtype};
  const Graph graph = vae_decoder_graph(preset("tiny").vae, options);
  const std::unique_ptr<Queue> queue = backend.make_queue();
  Program program = lower(optimize(graph), backend.target());
  const test::RandomCheckpoint checkpoint(graph, large ? large_stream : nullptr);
  LoneExecutable lone(std::move(program), backend, *queue, checkpoint);
  Executable& e = *lone;
  e.load();
  std::mt19937 generator(3);
  std::normal_distribution<float> normal;
  std::vector<float> latent(static_cast<size_t>(e.program().input("latent").ref.desc.shape.elements()));
  for (float& v : latent) v = normal(generator);
  e.write_input("latent", latent);

  Decoded decoded;
  LargestActivation watcher(e);
  if (observe) e.watch(&watcher);
  e.run();
  decoded.rgb.resize(e.program().output("image").ref.desc.bytes());
  e.read_output("image", std::as_writable_bytes(std::span(decoded.rgb)));
  decoded.largest = watcher.largest;
  return decoded;
}

double mean_difference(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::abs(int{a[i]} - int{b[i]});
  return sum / static_cast<double>(a.size());
}

class VaeRange : public ::testing::TestWithParam<std::string> {};

TEST_P(VaeRange, HalfPrecisionHoldsActivationsBeyondF16) {
  const auto backend = test::make_backend(GetParam());
  const Decoded plain = decode(*backend, DType::f32, false, false), full = decode(*backend, DType::f32, true, true);
  EXPECT_GT(full.largest, 4 * 65504.0f);
  EXPECT_LE(mean_difference(full.rgb, plain.rgb), 0.05);
  const auto [low, high] = std::minmax_element(full.rgb.begin(), full.rgb.end());
  EXPECT_GT(*high - *low, 50);  // a picture with contrast, not one colour
  for (const DType dtype : test::compute_dtypes(GetParam()))
    EXPECT_LE(mean_difference(decode(*backend, dtype, true, false).rgb, full.rgb), 1) << name(dtype);
}

std::vector<std::string> backends() {
  std::vector<std::string> names = test::backend_names();
  std::erase_if(names, [&](const std::string& name) {
    const std::vector<DType> types = test::compute_dtypes(name);
    return std::find(types.begin(), types.end(), DType::bf16) == types.end();
  });
  if (names.size() > 1) std::erase(names, "reference");  // slow
  return names;
}

INSTANTIATE_TEST_SUITE_P(Backends, VaeRange, ::testing::ValuesIn(backends()),
                         [](const auto& test_case) { return test_case.param; });

}  // namespace
}  // namespace tempera
