#include "backend/cuda/tuning.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <utility>

#include "backend/cuda/device.h"
#include "base/error.h"

namespace tempera::cuda {

std::filesystem::path tuning_file() {
  const auto folder = [](const char* variable) {
    const char* value = std::getenv(variable);
    return value == nullptr ? std::string() : std::string(value);
  };
  if (const std::string cache = folder("XDG_CACHE_HOME"); !cache.empty())
    return std::filesystem::path(cache) / "tempera" / "cuda-algorithms.txt";
  if (const std::string home = folder("HOME"); !home.empty())
    return std::filesystem::path(home) / ".cache" / "tempera" / "cuda-algorithms.txt";
  return {};
}

std::map<std::string, int> parse_tuning(std::string_view text) {
  std::map<std::string, int> choices;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const size_t first = line.find('\t'), second = first == line.npos ? line.npos : line.find('\t', first + 1);
    if (second == line.npos) continue;
    int candidate = -1;
    const char* end = line.data() + second;
    const auto [stop, error] = std::from_chars(line.data() + first + 1, end, candidate);
    if (error == std::errc{} && stop == end && candidate >= 0) choices[std::string(line.substr(0, first))] = candidate;
  }
  return choices;
}

Tuning::Tuning(std::filesystem::path file, std::string card) : file_(std::move(file)), card_(std::move(card)) {
  if (file_.empty()) return;
  std::ifstream in(file_, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  choices_ = parse_tuning(text);
}

std::optional<int> Tuning::known(const std::string& key) const {
  const auto it = choices_.find(full(key));
  return it == choices_.end() ? std::nullopt : std::optional(it->second);
}

void Tuning::remember(const std::string& key, int candidate, double microseconds) {
  choices_[full(key)] = candidate;
  if (file_.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(file_.parent_path(), ignored);
  // One write of one line at the end: processes that measure at the same time do not mix their lines.
  std::ofstream(file_, std::ios::app | std::ios::binary)
      << fmt::format("{}\t{}\t{:.1f}\n", full(key), candidate, microseconds);
}

namespace {

// Microseconds of one run, the best of a few after a first that warms up.
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

Enqueue fastest(Tuning& tuning, const std::string& key, const std::vector<Candidate>& candidates, cudaStream_t stream,
                int most) {
  if (const auto known = tuning.known(key); known && static_cast<size_t>(*known) < candidates.size())
    if (Enqueue run = candidates[static_cast<size_t>(*known)]()) return run;
  Enqueue best;
  int choice = 0, tried = 0;
  double best_time = 0;
  for (size_t i = 0; i < candidates.size() && tried < most; ++i) {
    Enqueue run = candidates[i]();
    if (!run) continue;
    ++tried;
    const double time = time_on_device(stream, run);
    if (best && time >= best_time) continue;
    best = std::move(run);
    best_time = time;
    choice = static_cast<int>(i);
  }
  if (best) tuning.remember(key, choice, best_time);
  return best;
}

}  // namespace tempera::cuda
