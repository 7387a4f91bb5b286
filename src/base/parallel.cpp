#include "base/parallel.h"

#include <algorithm>
#include <thread>
#include <vector>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace tempera {
namespace {

thread_local int t_threads = 0;  // 0: neither a ThreadScope nor work_beside() has set it
thread_local bool t_beside = false;

// The setting of the calling thread. Without OpenMP there is no such setting.
int openmp_threads() {
#if defined(_OPENMP)
  return std::max(1, omp_get_max_threads());
#else
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
#endif
}

void set_openmp_threads([[maybe_unused]] int n) {
#if defined(_OPENMP)
  omp_set_num_threads(n);
#endif
}

void run_plain_threads(int threads, const std::function<void(int, int)>& body) {
  std::vector<std::jthread> team;
  for (int t = 1; t < threads; ++t)
    team.emplace_back([&body, t, threads] {
      work_beside(threads);
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

int thread_count() {
  return t_threads > 0 ? t_threads : openmp_threads();
}

ThreadScope::ThreadScope(int threads) : count_before_(t_threads), openmp_before_(openmp_threads()) {
  t_threads = std::max(1, threads);
  set_openmp_threads(t_threads);
}

ThreadScope::~ThreadScope() {
  t_threads = count_before_;
  set_openmp_threads(openmp_before_);
}

void work_beside(int threads) {
  t_threads = std::max(1, threads / 4);
  t_beside = true;
}

void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (n <= 0) return;
  const int64_t wanted = std::max<int64_t>(1, n / std::max<int64_t>(1, grain));
  const int threads = static_cast<int>(std::min<int64_t>(thread_count(), wanted));
  run_team(threads, [&](int thread, int team) {
    const int64_t begin = n * thread / team, end = n * (thread + 1) / team;
    if (begin < end) body(begin, end);
  });
}

void parallel_region(const std::function<void(int, int)>& body) {
  run_team(thread_count(), body);
}

}  // namespace tempera
