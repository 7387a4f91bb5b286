#include "base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace tempera {
namespace {

TEST(ParallelFor, CoversEveryIndexOnce) {
  const ThreadScope scope(4);
  for (const int64_t n : {0, 1, 3, 4, 1000}) {
    std::vector<int> visits(static_cast<size_t>(n));
    parallel_for(n, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
    });
    EXPECT_EQ(visits, std::vector<int>(static_cast<size_t>(n), 1));
  }
}

TEST(ParallelFor, KeepsRangesAsLongAsTheGrain) {
  const ThreadScope scope(4);
  std::atomic<int> ranges{0};
  parallel_for(100, 60, [&](int64_t begin, int64_t end) {
    ++ranges;
    EXPECT_GE(end - begin, 60);
  });
  EXPECT_EQ(ranges, 1);
}

TEST(ParallelRegion, RunsEachThreadOfTheTeamOnce) {
  const ThreadScope scope(3);
  std::vector<std::atomic<int>> runs(3);
  parallel_region([&](int thread, int threads) {
    EXPECT_LE(threads, 3);
    ++runs[static_cast<size_t>(thread)];
  });
  EXPECT_EQ(runs[0], 1);
}

TEST(ParallelFor, MayBeCalledFromSeveralThreadsAtOnce) {
  std::vector<int64_t> sums(4);
  {
    std::vector<std::jthread> callers;
    for (size_t caller = 0; caller < sums.size(); ++caller)
      callers.emplace_back([&, caller] {
        const ThreadScope scope(2);
        std::atomic<int64_t> sum{0};
        parallel_for(1000, 1, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) sum += i;
        });
        sums[caller] = sum;
      });
  }
  EXPECT_EQ(sums, std::vector<int64_t>(4, 499500));
}

// The count of threads that OpenMP would use for the calling thread; without OpenMP there is no such setting.
int openmp_setting() {
#if defined(_OPENMP)
  return omp_get_max_threads();
#else
  return 0;
#endif
}

TEST(ThreadScope, SetsTheCountUntilItEnds) {
  const int before = thread_count(), openmp_before = openmp_setting();
  {
    const ThreadScope outer(3);
    EXPECT_EQ(thread_count(), 3);
    {
      const ThreadScope inner(5);
      EXPECT_EQ(thread_count(), 5);
#if defined(_OPENMP)
      EXPECT_EQ(omp_get_max_threads(), 5) << "oneDNN reads this";
#endif
    }
    EXPECT_EQ(thread_count(), 3);
  }
  EXPECT_EQ(thread_count(), before);
  EXPECT_EQ(openmp_setting(), openmp_before);
}

TEST(ThreadScope, IsOfTheCallingThreadAlone) {
  const int before = thread_count(), openmp_before = openmp_setting();
  const ThreadScope scope(before + 1);
  std::jthread([&] {
    EXPECT_EQ(thread_count(), before);
    EXPECT_EQ(openmp_setting(), openmp_before);
    const ThreadScope other(before + 2);
    EXPECT_EQ(thread_count(), before + 2);
  }).join();
  EXPECT_EQ(thread_count(), before + 1);
}

TEST(ThreadScope, EndsWhereSomethingIsThrown) {
  const int before = thread_count(), openmp_before = openmp_setting();
  EXPECT_THROW(
      [&] {
        const ThreadScope scope(before + 1);
        throw 1;
      }(),
      int);
  EXPECT_EQ(thread_count(), before);
  EXPECT_EQ(openmp_setting(), openmp_before);
}

TEST(WorkBeside, LeavesTheOpenMPThreadsAlone) {
  std::vector<int> visits(100);
  std::atomic<int> ranges{0};
  std::jthread([&] {
    work_beside(8);
    parallel_for(100, 1, [&](int64_t begin, int64_t end) {
      ++ranges;
#if defined(_OPENMP)
      EXPECT_EQ(omp_in_parallel(), 0);
#endif
      for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
    });
  }).join();
  EXPECT_EQ(ranges, 2);
  EXPECT_EQ(visits, std::vector<int>(100, 1));
}

}  // namespace
}  // namespace tempera
