// Loops over all cores. One thread team for the whole process: oneDNN runs on OpenMP, and a second pool beside it would
// oversubscribe the cores; builds without OpenMP (thread sanitizer) start plain threads instead.
#pragma once

#include <cstdint>
#include <functional>

namespace tempera {

// Threads used by parallel_for; the machine's cores unless set. n >= 1.
int thread_count();
void set_thread_count(int n);

// For a thread that works while another computes (copies of weights): from now on the caller's loops use plain threads,
// a quarter of thread_count(). A second OpenMP team would not only take the cores from the first: where libgomp counts
// more threads than cores, it puts waiting ones to sleep at once, and each small loop of the first team pays for waking
// them (on two cores a denoising step of the embedded model took 103 ms or more instead of 65).
void work_beside();

// Calls body(begin, end) for disjoint ranges that cover [0, n), at most one range per thread, each at least `grain`
// long where n allows. The split depends on n, grain and the number of threads alone, so results are the same from run
// to run. body must not throw.
void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& body);

// Calls body(thread, threads) once on each thread of the team.
void parallel_region(const std::function<void(int thread, int threads)>& body);

}  // namespace tempera
