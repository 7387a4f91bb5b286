// Adapters of a model of full size in one process: switching, memory and speed. Too large for the test suite: run by
// hand and by tools/gpu_check.sh. tools/make_lora.py writes the files.
//
//   engine_adapter_switch_check MODEL LORA LORA LORA [DEVICE [DTYPE [STEPS [SIDE]]]]
//
// Prints a row for each request: seconds of loading, bytes packed, the planned and the measured peak, and seconds for
// each step. Exit status 1 if the picture after the removal differs from the first one, if the same request packs
// another number of bytes, or if a peak is more than 3 % above the plan on a card (5 % on a CPU).
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "tempera/engine.h"

namespace tempera {
namespace {

class Check {
 public:
  explicit Check(const EngineOptions& options, int steps, int side)
      : engine_(options, [](LogLevel, std::string_view text) { std::printf("  %s\n", std::string(text).c_str()); }),
        steps_(steps),
        side_(side),
        most_over_(options.device == "cuda" ? 0.03 : 0.05) {}

  bool passed() const { return passed_; }
  void fail(const char* why) {
    std::printf("  FAILED: %s\n", why);
    passed_ = false;
  }

  struct Row {
    size_t packed = 0;
    std::vector<uint8_t> rgb;
  };

  // Several adapters draw with the same random numbers, so a picture shows which adapters are in use.
  Row draw(const std::string& name, std::vector<std::string> lora) {
    Request request{.prompt = "a red apple on a wooden table", .num_inference_steps = steps_, .seed = 1};
    request.width = request.height = side_;
    request.lora = std::move(lora);
    const size_t before = engine_.bytes_packed();
    Job job = engine_.start(request);
    double load = 0;
    for (const Stage& stage : job.stages()) load += stage.name == "load" ? stage.seconds : 0;
    Row row{engine_.bytes_packed() - before, {}};
    engine_.step(job);  // records
    engine_.decode(job, 0);
    const auto begin = std::chrono::steady_clock::now();
    while (!job.finished()) engine_.step(job);
    row.rgb = engine_.decode(job, 0).rgb;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    most_planned_ = std::max(most_planned_, job.plan().memory.peak_bytes);
    const auto planned = static_cast<double>(most_planned_),
               measured = static_cast<double>(engine_.measured_peak_bytes());
    std::printf(
        "%-22s load %6.3f s  packed %7.1f MB  planned %7.1f MB  measured %7.1f MB (%+.1f %%)  %d steps and decoding "
        "%.3f s\n",
        name.c_str(), load, static_cast<double>(row.packed) / 1e6, planned / 1e6, measured / 1e6,
        100 * (measured / planned - 1), steps_ - 1, seconds);
    std::fflush(stdout);
    if (measured / planned - 1 > most_over_) fail("the measured peak is above the plan");
    return row;
  }

 private:
  Engine engine_;
  int steps_, side_;
  double most_over_;
  size_t most_planned_ = 0;
  bool passed_ = true;
};

int run(int argc, char** argv) {
  EngineOptions options;
  options.model = argv[1];
  options.device = argc > 5 ? argv[5] : "auto";
  options.dtype = argc > 6 ? argv[6] : "auto";
  Check check(options, std::max(2, argc > 7 ? std::stoi(argv[7]) : 4), argc > 8 ? std::stoi(argv[8]) : 1024);
  const std::string one = argv[2], two = argv[3], three = argv[4];
  const Check::Row plain = check.draw("without", {});
  const Check::Row first = check.draw("one", {one});
  const Check::Row other = check.draw("another", {two});
  const Check::Row weight = check.draw("another weight", {two + ":0.5"});
  const Check::Row removed = check.draw("removed", {});
  const Check::Row again = check.draw("one again", {one});
  check.draw("three", {one, two + ":0.7", three + ":-0.3"});
  const Check::Row removed_again = check.draw("removed again", {});
  if (removed.rgb != plain.rgb || removed_again.rgb != plain.rgb) check.fail("the picture after the removal differs");
  if (again.rgb != first.rgb) check.fail("the picture with the same adapter differs");
  if (first.rgb == plain.rgb || weight.rgb == other.rgb) check.fail("an adapter changes nothing");
  for (const size_t packed : {other.packed, weight.packed, removed.packed, again.packed})
    if (packed != first.packed) check.fail("equal changes pack different numbers of bytes");
  return check.passed() ? 0 : 1;
}

}  // namespace
}  // namespace tempera

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: engine_adapter_switch_check MODEL LORA LORA LORA [DEVICE [DTYPE [STEPS [SIDE]]]]\n");
    return 2;
  }
  try {
    return tempera::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "engine_adapter_switch_check: %s\n", error.what());
    return 1;
  }
}
