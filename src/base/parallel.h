// Loops over all cores. There is one team of threads for each thread that computes. oneDNN runs on OpenMP, and a second
// pool of threads would use more threads than there are cores. Builds without OpenMP (thread sanitizer) start plain
// threads instead.
#pragma once

#include <cstdint>
#include <functional>

namespace tempera {

// The number of threads of loops that the calling thread starts: the count of its innermost ThreadScope. Outside of any
// scope, it is OpenMP's count (OMP_NUM_THREADS, or the cores).
int thread_count();

// Sets thread_count() and OpenMP's own setting for the calling thread. oneDNN reads the latter when it creates and runs
// primitives. Both are restored at the end of the scope, so the settings of the program and of other engines in the
// same process do not change. A scope must end on the thread on which it began.
class ThreadScope {
 public:
  explicit ThreadScope(int threads);  // at least 1
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  const int count_before_, openmp_before_;
};

// For a thread that works while a team of `threads` computes (copies of weights). From now on its loops use plain
// threads, a quarter of `threads`. A second OpenMP team would compete with the first one for cores. In addition, when
// libgomp counts more threads than cores, waiting threads sleep at once, and each small loop of the first team must
// wake them. On two cores, a denoising step of the embedded model then took 103 ms or more instead of 65 ms.
void work_beside(int threads);

// Calls body(begin, end) for disjoint ranges that cover [0, n), at most one range per thread, each at least `grain`
// long where n allows it. The ranges depend only on n, grain and the number of threads, so results are the same in
// every run. body must not throw.
void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& body);

// Calls body(thread, threads) once on each thread of the team.
void parallel_region(const std::function<void(int thread, int threads)>& body);

}  // namespace tempera
