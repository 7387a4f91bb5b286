// Loops over all cores. One thread team for the whole process: oneDNN runs on OpenMP, and a second pool beside it would
// oversubscribe the cores; builds without OpenMP (thread sanitizer) start plain threads instead.
#pragma once

#include <cstdint>
#include <functional>

namespace tempera {

// Threads used by parallel_for; the machine's cores unless set. n >= 1.
int thread_count();
void set_thread_count(int n);

// Calls body(begin, end) for disjoint ranges that cover [0, n), at most one range per thread, each at least `grain`
// long where n allows. The split depends on n, grain and thread_count() alone, so results are the same from run to run.
// body must not throw.
void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& body);

// Calls body(thread, threads) once on each thread of the team.
void parallel_region(const std::function<void(int thread, int threads)>& body);

}  // namespace tempera
