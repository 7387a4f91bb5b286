#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace tempera {
namespace {
std::atomic<int> g_threads{0};  // 0: not set; the one process-wide knob, like OMP_NUM_THREADS
thread_local bool t_beside = false;
}  // namespace

int thread_count() {
  const int set = g_threads.load(std::memory_order_relaxed);
  if (set > 0) return set;
#if defined(_OPENMP)
  return std::max(1, omp_get_max_threads());
#else
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
#endif
}

void set_thread_count(int n) {
  g_threads.store(std::max(1, n), std::memory_order_relaxed);
#if defined(_OPENMP)
  omp_set_num_threads(std::max(1, n));
#endif
}

void work_beside() {
  t_beside = true;
}

namespace {
// How many threads a loop of the calling thread may use.
int team_size() {
  return t_beside ? std::max(1, thread_count() / 4) : thread_count();
}

void run_plain_threads(int threads, const std::function<void(int, int)>& body) {
  std::vector<std::jthread> team;
  for (int t = 1; t < threads; ++t)
    team.emplace_back([&body, t, threads] {
      work_beside();
      body(t, threads);
    });
  body(0, threads);
}

void run_team(int threads, const std::function<void(int, int)>& body) {
  if (threads <= 1) return body(0, 1);
#if defined(_OPENMP)
  if (t_beside) return run_plain_threads(threads, body);
  if (omp_in_parallel() != 0) return body(0, 1);
#pragma omp parallel num_threads(threads)
  body(omp_get_thread_num(), omp_get_num_threads());
#else
  run_plain_threads(threads, body);
#endif
}
}  // namespace

void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (n <= 0) return;
  const int64_t wanted = std::max<int64_t>(1, n / std::max<int64_t>(1, grain));
  const int threads = static_cast<int>(std::min<int64_t>(team_size(), wanted));
  run_team(threads, [&](int thread, int team) {
    const int64_t begin = n * thread / team, end = n * (thread + 1) / team;
    if (begin < end) body(begin, end);
  });
}

void parallel_region(const std::function<void(int, int)>& body) {
  run_team(team_size(), body);
}

}  // namespace tempera
