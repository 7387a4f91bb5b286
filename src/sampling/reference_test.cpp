// Samplers and noise against results of diffusers and PyTorch (../shared/reference), if that folder exists.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
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

// A safetensors file of parts: an 8-byte length, a JSON header, the values (all float32 here).
class Parts {
 public:
  explicit Parts(const char* name = "parts.safetensors")
      : file_(std::filesystem::path(TEMPERA_REFERENCE) / "dev" / name) {
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

// A schedulers.json of the reference, by name. Empty without the reference.
std::map<std::string, SchedulerConfig> configurations(const char* name) {
  const std::filesystem::path file = std::filesystem::path(TEMPERA_REFERENCE) / "dev" / name;
  if (!std::filesystem::exists(file)) return {};
  std::string text = read_text_file(file, 1 << 20);
  // Python's bare word, which parse_scheduler_config accepts either way.
  for (size_t at = 0; (at = text.find(": -Infinity", at)) != std::string::npos; ++at) {
    text.replace(at, 11, ": \"-Infinity\"");
  }
  std::map<std::string, SchedulerConfig> configs;
  const auto classes = nlohmann::json::parse(text);
  for (const auto& [key, value] : classes.items()) {
    nlohmann::json config = value.at("config");
    config["_class_name"] = value.at("cls");
    configs[key] = parse_scheduler_config(config.dump());
  }
  return configs;
}

TEST_F(Reference, PresetsAreItsConfigurations) {
  const auto configs = configurations("schedulers.json");
  EXPECT_EQ(configs.size(), 21u);
  for (const auto& [name, config] : configs) EXPECT_EQ(scheduler_config(name), config) << name;
}

// Drives a sampler as the reference did, and compares timesteps, sigmas and the trace.
void expect_trace(const Parts& parts, const std::string& name, const SchedulerConfig& config, int steps,
                  double tolerance) {
  const std::string prefix = "sched." + name + "." + std::to_string(steps) + ".";
  // The reference called TCDScheduler.step with its own default of eta.
  const ScheduleOptions options{.steps = steps, .eta = name == "tcd" ? 0.3 : 0.0};
  const Schedule schedule = make_schedule(config, options);

  const std::vector<double> timesteps = parts.values(prefix + "timesteps");
  ASSERT_EQ(schedule.evaluations.size(), timesteps.size());
  for (size_t i = 0; i < timesteps.size(); ++i) {
    // Timesteps looked up by sigma are fractional and hang on the last digit of numpy's float32 logarithm.
    const bool is_whole = timesteps[i] == std::round(timesteps[i]);
    EXPECT_NEAR(schedule.evaluations[i].timestep, timesteps[i], is_whole ? 1e-5 : 1e-4) << i;
  }
  ASSERT_EQ(parts.contains(prefix + "sigmas"), !schedule.sigmas.empty());
  if (!schedule.sigmas.empty()) {
    const std::vector<double> sigmas = parts.values(prefix + "sigmas");
    ASSERT_EQ(schedule.sigmas.size(), sigmas.size());
    for (size_t i = 0; i < sigmas.size(); ++i) EXPECT_NEAR(schedule.sigmas[i], sigmas[i], 2e-6 * sigmas[i]) << i;
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
  auto trace = run_schedule(schedule, x, model, [&] { return normal(*generator, kElements); });
  // Of many steps, dev/more has the last value only.
  if (expected.size() == kElements) trace.erase(trace.begin(), trace.end() - 1);
  ASSERT_EQ(expected.size(), trace.size() * kElements);
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

TEST_F(Reference, SamplersEqualDiffusers) {
  const Parts parts;
  for (const auto& [name, config] : configurations("schedulers.json")) {
    for (const int steps : {4, 7, 25}) {
      SCOPED_TRACE(name + " " + std::to_string(steps));
      // With zero terminal SNR x starts as 4096 times the picture, of which diffusers' float32 loses that many parts.
      expect_trace(parts, name, config, steps, name == "euler_vpred" ? 1e-4 : 1e-5);
    }
  }
}

TEST_F(Reference, FurtherConfigurationsEqualDiffusers) {
  const Parts parts("more/parts_samplers.safetensors");
  int compared = 0;
  for (const auto& [name, config] : configurations("more/schedulers.json")) {
    for (const int steps : {4, 7, 25}) {
      if (!parts.contains("sched." + name + "." + std::to_string(steps) + ".trace")) continue;  // pictures only
      SCOPED_TRACE(name + " " + std::to_string(steps));
      expect_trace(parts, name, config, steps, 1e-4);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 3 * 28);
}

}  // namespace
}  // namespace tempera
