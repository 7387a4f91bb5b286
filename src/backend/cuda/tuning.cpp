#include "backend/cuda/tuning.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <utility>

#include "backend/cuda/device.h"
#include "base/error.h"

namespace tempera::cuda {

Tuning::Tuning(std::filesystem::path file, std::string card) : file_(std::move(file)), card_(std::move(card)) {
  try {
    for (TuningChoice& choice : read_tuning(file_))
      if (choice.card == card_) choices_.emplace(std::pair(choice.library, choice.problem), std::move(choice));
  } catch (const Error&) {
    choices_.clear();
  }
}

const TuningChoice* Tuning::known(const TuningKey& key) const {
  const auto it = choices_.find({key.library, key.problem});
  return it == choices_.end() ? nullptr : &it->second;
}

void Tuning::remember(const TuningKey& key, int candidate, const std::string& name, double microseconds) {
  const TuningChoice choice{card_, key.library, key.problem, candidate, name, microseconds};
  choices_[{key.library, key.problem}] = choice;
  if (file_.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(file_.parent_path(), ignored);
  // One write of one line at the end of the file: lines of concurrent processes do not mix.
  std::ofstream(file_, std::ios::app | std::ios::binary) << tuning_line(choice);
}

namespace {

// Microseconds of one run: the best of several runs after a first one that warms up.
double time_on_device(cudaStream_t stream, const Enqueue& run) {
  constexpr int kRuns = 3;
  struct Event {
    cudaEvent_t event = nullptr;
    Event() { check(cudaEventCreate(&event), "cudaEventCreate"); }
    ~Event() { cudaEventDestroy(event); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
  } begin, end;
  run(stream);
  check(cudaGetLastError(), "a launch");  // a refused launch takes no time
  float best = std::numeric_limits<float>::max();
  for (int i = 0; i < kRuns; ++i) {
    check(cudaEventRecord(begin.event, stream), "cudaEventRecord");
    run(stream);
    check(cudaEventRecord(end.event, stream), "cudaEventRecord");
    check(cudaEventSynchronize(end.event), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin.event, end.event), "cudaEventElapsedTime");
    best = std::min(best, milliseconds);
  }
  return static_cast<double>(best) * 1000;
}

}  // namespace

Enqueue fastest(Tuning& tuning, const TuningKey& key, const std::vector<Candidate>& candidates, cudaStream_t stream,
                int most) {
  if (const TuningChoice* known = tuning.known(key);
      known != nullptr && static_cast<size_t>(known->candidate) < candidates.size()) {
    const Candidate& candidate = candidates[static_cast<size_t>(known->candidate)];
    if (candidate.name == known->name)
      if (Enqueue run = candidate.bind()) return run;
  }
  Enqueue best;
  size_t choice = 0;
  int tried = 0;
  double best_time = 0;
  for (size_t i = 0; i < candidates.size() && tried < most; ++i) {
    Enqueue run = candidates[i].bind();
    if (!run) continue;
    ++tried;
    const double time = time_on_device(stream, run);
    if (best && time >= best_time) continue;
    best = std::move(run);
    best_time = time;
    choice = i;
  }
  if (best) tuning.remember(key, static_cast<int>(choice), candidates[choice].name, best_time);
  return best;
}

}  // namespace tempera::cuda
