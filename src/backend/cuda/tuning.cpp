#include "backend/cuda/tuning.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "backend/cuda/device.h"

namespace tempera::cuda {

Tuning::Tuning(std::filesystem::path file, std::string card) : file_(std::move(file)), card_(std::move(card)) {}

const TuningChoice* Tuning::find(const TuningKey& key) const {
  const auto it = choices_.find({key.library, key.problem});
  return it == choices_.end() ? nullptr : &it->second;
}

void Tuning::read_new() {
  for (TuningChoice& choice : file_.read_new())
    if (choice.card == card_) choices_.insert_or_assign(std::pair(choice.library, choice.problem), std::move(choice));
}

const TuningChoice* Tuning::known(const TuningKey& key) {
  if (const TuningChoice* choice = find(key)) return choice;
  read_new();
  return find(key);
}

const TuningChoice& Tuning::settle(const TuningKey& key, int candidate, const std::string& name, double microseconds,
                                   const std::function<bool(const TuningChoice&)>& usable) {
  file_.add([&]() -> std::optional<TuningChoice> {
    read_new();
    if (const TuningChoice* added = find(key); added != nullptr && usable(*added)) return std::nullopt;
    const TuningChoice own{card_, key.library, key.problem, candidate, name, microseconds};
    choices_[{key.library, key.problem}] = own;
    return own;
  });
  return *find(key);
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
  const auto candidate_of = [&candidates](const TuningChoice& choice) -> const Candidate* {
    const auto number = static_cast<size_t>(choice.candidate);
    return number < candidates.size() && candidates[number].name == choice.name ? &candidates[number] : nullptr;
  };
  const auto bind = [&candidate_of](const TuningChoice& choice) {
    const Candidate* candidate = candidate_of(choice);
    return candidate == nullptr ? Enqueue() : candidate->bind();
  };
  if (const TuningChoice* known = tuning.known(key))
    if (Enqueue run = bind(*known)) return run;
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
  if (!best) return best;
  const auto usable = [&](const TuningChoice& added) { return candidate_of(added) != nullptr; };
  const TuningChoice& valid = tuning.settle(key, static_cast<int>(choice), candidates[choice].name, best_time, usable);
  if (static_cast<size_t>(valid.candidate) == choice) return best;
  Enqueue run = bind(valid);
  return run ? run : best;
}

}  // namespace tempera::cuda
