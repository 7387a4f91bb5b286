// Samplers and noise against results of diffusers and PyTorch (../shared/reference), if that folder exists.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/json.h"
#include "base/mapped_file.h"
#include "sampling/config.h"
#include "sampling/rng.h"
#include "sampling/run_schedule.h"
#include "sampling/schedule.h"

namespace tempera {
namespace {

// parts.safetensors: an 8-byte length, a JSON header, the values (all float32 here).
class Parts {
 public:
  Parts() : file_(std::filesystem::path(TEMPERA_REFERENCE) / "dev/parts.safetensors") {
    uint64_t length = 0;
    std::memcpy(&length, file_.bytes().data(), sizeof length);
    const auto* text = reinterpret_cast<const char*>(file_.bytes().data()) + sizeof length;
    header_ = nlohmann::json::parse(text, text + length);
    data_ = file_.bytes().subspan(sizeof length + length);
  }
  bool contains(const std::string& name) const { return header_.contains(name); }
  std::vector<double> values(const std::string& name) const {
    const auto offsets = header_.at(name).at("data_offsets").get<std::vector<size_t>>();
    std::vector<float> floats((offsets[1] - offsets[0]) / sizeof(float));
    std::memcpy(floats.data(), data_.data() + offsets[0], floats.size() * sizeof(float));
    return {floats.begin(), floats.end()};
  }

 private:
  MappedFile file_;
  nlohmann::json header_;
  std::span<const std::byte> data_;
};

class Reference : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(std::filesystem::path(TEMPERA_REFERENCE) / "dev/parts.safetensors")) {
      GTEST_SKIP() << "no reference folder";
    }
  }
};

std::vector<double> normal(Generator& generator, size_t n) {
  std::vector<float> values(n);
  generator.normal(values);
  return {values.begin(), values.end()};
}

double max_difference(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double max = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) max = std::max(max, std::abs(a[i] - b[i]));
  return max;
}

TEST_F(Reference, NoiseIsThatOfPyTorch) {
  const Parts parts;
  for (const uint64_t seed : {0, 1234}) {
    for (const auto& [device, rng] : {std::pair{"cpu", Rng::cpu}, std::pair{"cuda", Rng::cuda}}) {
      for (const char* kind : {"", "odd_", "small_"}) {
        const std::string name = "randn_" + std::string(device) + "_" + kind + std::to_string(seed);
        if (!parts.contains(name)) continue;
        const std::vector<double> expected = parts.values(name);
        const auto generator = make_generator(rng, seed);
        const double difference = max_difference(normal(*generator, expected.size()), expected);
        EXPECT_LE(difference, 1e-6) << name;
      }
    }
  }
}

TEST_F(Reference, PresetsAreItsConfigurations) {
  std::string text = read_text_file(std::filesystem::path(TEMPERA_REFERENCE) / "dev/schedulers.json", 1 << 20);
  // Python's bare word, which parse_scheduler_config accepts either way.
  for (size_t at = 0; (at = text.find(": -Infinity", at)) != std::string::npos; ++at) {
    text.replace(at, 11, ": \"-Infinity\"");
  }
  const auto presets = nlohmann::json::parse(text);
  EXPECT_EQ(presets.size(), scheduler_names().size());
  for (const std::string_view name : scheduler_names()) {
    nlohmann::json config = presets.at(std::string(name)).at("config");
    config["_class_name"] = presets.at(std::string(name)).at("cls");
    EXPECT_EQ(scheduler_config(name), parse_scheduler_config(config.dump())) << name;
  }
}

class ReferenceSampler : public Reference, public testing::WithParamInterface<std::tuple<std::string_view, int>> {};

TEST_P(ReferenceSampler, EqualsDiffusers) {
  const Parts parts;
  const auto [name, steps] = GetParam();
  const std::string prefix = "sched." + std::string(name) + "." + std::to_string(steps) + ".";
  // The reference called TCDScheduler.step with its own default of eta.
  const ScheduleOptions options{.steps = steps, .eta = name == "tcd" ? 0.3 : 0.0};
  const Schedule schedule = make_schedule(scheduler_config(name), options);

  const bool is_looked_up = name == "euler_karras" || name.starts_with("kdpm2");
  const std::vector<double> timesteps = parts.values(prefix + "timesteps");
  ASSERT_EQ(schedule.evaluations.size(), timesteps.size());
  for (size_t i = 0; i < timesteps.size(); ++i) {
    // Timesteps looked up by sigma are fractional and hang on the last digit of numpy's float32 logarithm.
    EXPECT_NEAR(schedule.evaluations[i].timestep, timesteps[i], is_looked_up ? 1e-4 : 0) << i;
  }
  ASSERT_EQ(parts.contains(prefix + "sigmas"), !schedule.sigmas.empty());
  if (!schedule.sigmas.empty()) {
    const std::vector<double> sigmas = parts.values(prefix + "sigmas");
    ASSERT_EQ(schedule.sigmas.size(), sigmas.size());
    for (size_t i = 0; i < sigmas.size(); ++i) EXPECT_NEAR(schedule.sigmas[i], sigmas[i], 1e-6 * sigmas[i]) << i;
  }

  constexpr size_t kElements = 4 * 6 * 10;
  const std::vector<double> expected = parts.values(prefix + "trace");
  std::vector<double> x = normal(*make_generator(Rng::cpu, 5), kElements);
  for (double& value : x) value *= schedule.init_noise_sigma;
  const auto generator = make_generator(Rng::cpu, 6);
  const auto model = [](const std::vector<double>& input, const Evaluation& e) {
    std::vector<double> prediction;
    prediction.reserve(input.size());
    for (const double v : input) {
      prediction.push_back(0.3 * v / (1 + std::abs(v)) + 0.01 * std::sin(3 * v) * e.timestep / 1000);
    }
    return prediction;
  };
  const auto trace = run_schedule(schedule, x, model, [&] { return normal(*generator, kElements); });
  ASSERT_EQ(expected.size(), trace.size() * kElements);
  // With zero terminal SNR x starts as 4096 times the picture, of which diffusers' float32 loses that many parts.
  const double tolerance = name == "euler_vpred" ? 1e-4 : 1e-5;
  for (size_t i = 0; i < trace.size(); ++i) {
    double error = 0;
    double norm = 0;
    for (size_t k = 0; k < kElements; ++k) {
      const double e = expected[i * kElements + k];
      error += (trace[i][k] - e) * (trace[i][k] - e);
      norm += e * e;
    }
    EXPECT_LE(std::sqrt(error / norm), tolerance) << "after evaluation " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ReferenceSampler,
                         testing::Combine(testing::ValuesIn(scheduler_names()), testing::Values(4, 7, 25)),
                         [](const auto& row) {
                           return std::string(std::get<0>(row.param)) + "_" + std::to_string(std::get<1>(row.param));
                         });

}  // namespace
}  // namespace tempera
