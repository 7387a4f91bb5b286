// Samplers and noise against small committed tables of results of diffusers and PyTorch. tools/make_sampling_goldens.py
// computes them, with the same replacements for the model and for the noise. tools/take_sampling_goldens.py takes those
// of further configurations from the reference data.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "sampling/config.h"
#include "sampling/rng.h"
#include "sampling/run_schedule.h"
#include "sampling/schedule.h"

namespace tempera {
namespace {
using nlohmann::json;

json read(const char* name) {
  std::ifstream file(std::filesystem::path(TEMPERA_TEST_DATA) / "sampling" / name);
  return json::parse(file);
}

std::vector<double> fake_model(const std::vector<double>& input, const Evaluation& e) {
  std::vector<double> prediction;
  prediction.reserve(input.size());
  for (const double x : input) {
    prediction.push_back(0.3 * x / (1 + std::abs(x)) + 0.01 * std::sin(3 * x) * e.timestep / 1000);
  }
  return prediction;
}

// diffusers computes in float32. Where x starts as thousands of times the picture (zero terminal SNR, cosine betas),
// that loses as many parts of it.
double tolerance(const Schedule& schedule) {
  return schedule.init_noise_sigma > 1000 || (!schedule.sigmas.empty() && schedule.sigmas[0] > 1000) ? 5e-4 : 2e-5;
}

void expect_equal(const json& row) {
  const ScheduleOptions options{.steps = row["steps"], .eta = row["eta"], .first = row["first"]};
  const Schedule schedule = make_schedule(parse_scheduler_config(row["config"].dump()), options);

  const auto timesteps = row["timesteps"].get<std::vector<double>>();
  ASSERT_EQ(schedule.evaluations.size(), timesteps.size());
  for (size_t i = 0; i < timesteps.size(); ++i) {
    // Fractional timesteps hang on the last digits of float32 logarithms.
    const bool is_whole = timesteps[i] == std::round(timesteps[i]);
    EXPECT_NEAR(schedule.evaluations[i].timestep, timesteps[i], is_whole ? 1e-6 : 2e-4) << i;
  }
  const auto sigmas = row["sigmas"].get<std::vector<double>>();
  ASSERT_EQ(schedule.sigmas.size(), sigmas.size());
  for (size_t i = 0; i < sigmas.size(); ++i) EXPECT_NEAR(schedule.sigmas[i], sigmas[i], 1e-5 * sigmas[i]) << i;
  EXPECT_NEAR(schedule.init_noise_sigma / row["init_noise_sigma"].get<double>(), 1, 1e-6);

  int draws = 0;
  const auto noise = [&] {
    ++draws;
    return std::vector<double>{std::sin(draws), std::sin(2.5 * draws)};
  };
  const auto trace =
      run_schedule(schedule, {1.2 * schedule.init_noise_sigma, -0.7 * schedule.init_noise_sigma}, fake_model, noise);
  EXPECT_EQ(draws, row["draws"].get<int>());
  const auto expected = row["trace"].get<std::vector<double>>();
  ASSERT_EQ(expected.size(), 2 * trace.size());
  for (size_t i = 0; i < trace.size(); ++i) {
    const double norm = std::hypot(expected[2 * i], expected[2 * i + 1]);
    EXPECT_LE(std::hypot(trace[i][0] - expected[2 * i], trace[i][1] - expected[2 * i + 1]) / norm, tolerance(schedule))
        << i;
  }
}

TEST(SamplingGolden, SamplersEqualDiffusers) {
  const json rows = read("samplers.json");
  ASSERT_GT(rows.size(), 200u);
  for (const json& row : rows) {
    SCOPED_TRACE(row["config"].dump() + " steps " + row["steps"].dump() + " first " + row["first"].dump() + " eta " +
                 row["eta"].dump());
    ASSERT_NO_THROW(expect_equal(row));
  }
}

std::vector<double> normal(Generator& generator, size_t n) {
  std::vector<float> values(n);
  generator.normal(values);
  return {values.begin(), values.end()};
}

void expect_further(const json& row) {
  const Schedule schedule = make_schedule(parse_scheduler_config(row["config"].dump()), row["steps"].get<int>());
  const auto timesteps = row["timesteps"].get<std::vector<double>>();
  ASSERT_EQ(schedule.evaluations.size(), timesteps.size());
  for (size_t i = 0; i < timesteps.size(); ++i)
    EXPECT_NEAR(schedule.evaluations[i].timestep, timesteps[i], timesteps[i] == std::round(timesteps[i]) ? 1e-5 : 2e-4);
  const auto sigmas = row["sigmas"].get<std::vector<double>>();
  ASSERT_EQ(schedule.sigmas.size(), sigmas.size());
  for (size_t i = 0; i < sigmas.size(); ++i) EXPECT_NEAR(schedule.sigmas[i], sigmas[i], 1e-5 * sigmas[i]) << i;

  constexpr size_t kElements = 4 * 6 * 10;  // thresholding depends on all of them
  std::vector<double> x = normal(*make_generator(Rng::cpu, 5), kElements);
  for (double& value : x) value *= schedule.init_noise_sigma;
  const auto generator = make_generator(Rng::cpu, 6);
  const auto trace = run_schedule(schedule, x, fake_model, [&] { return normal(*generator, kElements); });
  ASSERT_EQ(trace.size(), row["trace"].size());
  for (size_t i = 0; i < trace.size(); ++i) {
    double error = 0;
    double norm = 0;
    for (size_t k = 0; k < row["at"].size(); ++k) {
      const double expected = row["trace"][i][k];
      const double difference = trace[i][row["at"][k].get<size_t>()] - expected;
      error += difference * difference;
      norm += expected * expected;
    }
    EXPECT_LE(std::sqrt(error / norm), 1e-4) << i;
  }
}

TEST(SamplingGolden, FurtherConfigurationsEqualDiffusers) {
  const json rows = read("further_samplers.json");
  ASSERT_EQ(rows.size(), 28u);
  for (const json& row : rows) {
    SCOPED_TRACE(row["name"].get<std::string>());
    ASSERT_NO_THROW(expect_further(row));
  }
}

TEST(SamplingGolden, NoiseEqualsPyTorch) {
  const json generators = read("noise.json");
  for (const auto& [device, rng] : {std::pair{"cpu", Rng::cpu}, std::pair{"cuda", Rng::cuda}}) {
    const json& golden = generators[device];
    const auto generator = make_generator(rng, golden["seed"].get<uint64_t>());
    for (const json& call : golden["calls"]) {  // successive calls continue the stream
      std::vector<float> values(call["length"].get<size_t>());
      generator->normal(values);
      for (size_t k = 0; k < call["at"].size(); ++k) {
        const size_t at = call["at"][k];
        EXPECT_NEAR(values[at], call["values"][k].get<float>(), 1e-6) << device << " " << values.size() << " " << at;
      }
    }
  }
}

}  // namespace
}  // namespace tempera
