// Loops over all cores. One thread team for each thread that computes: oneDNN runs on OpenMP, and a second pool beside
// it would oversubscribe the cores; builds without OpenMP (thread sanitizer) start plain threads instead.
#pragma once

#include <cstdint>
#include <functional>

namespace tempera {

// Threads of the loops that the calling thread starts: the count of its innermost ThreadScope; outside of any, the
// count that OpenMP would use (OMP_NUM_THREADS, or the cores).
int thread_count();

// Sets thread_count() for the calling thread, and OpenMP's own setting with it, which oneDNN reads when it makes and
// runs primitives. Both are restored at the end of the scope, so that the program's settings and other engines in the
// same process are not affected. Must end on the thread on which it began.
class ThreadScope {
 public:
  explicit ThreadScope(int threads);  // at least 1
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  const int count_before_, openmp_before_;
};

// For a thread that works while a team of `threads` computes (copies of weights): from now on its loops use plain
// threads, a quarter of `threads`. A second OpenMP team would not only compete with the first for cores: where libgomp
// counts more threads than cores, it puts waiting ones to sleep at once, and each small loop of the first team pays for
// waking them (on two cores a denoising step of the embedded model took 103 ms or more instead of 65).
void work_beside(int threads);

// Calls body(begin, end) for disjoint ranges that cover [0, n), at most one range per thread, each at least `grain`
// long where n allows. The split depends on n, grain and the number of threads alone, so results are the same from run
// to run. body must not throw.
void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& body);

// Calls body(thread, threads) once on each thread of the team.
void parallel_region(const std::function<void(int thread, int threads)>& body);

}  // namespace tempera
