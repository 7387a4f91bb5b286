// Every engine computes with its own number of threads, independent of other engines in the process. A call does not
// change the settings of the caller. Uses the small model on the CPU.
#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

#include "base/parallel.h"
#include "tempera/tempera.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace tempera {
namespace {

// The number of threads that OpenMP, and so oneDNN, would use on the calling thread. Builds without OpenMP have only
// thread_count().
int openmp_setting() {
#if defined(_OPENMP)
  return omp_get_max_threads();
#else
  return thread_count();
#endif
}

struct Drawn {
  std::vector<uint8_t> rgb;
  std::set<int> counts, openmp;  // the settings during the call
  MemoryPlan memory;
};

Request small_request() {
  return {.prompt = "a red apple", .width = 64, .height = 64, .num_inference_steps = 2, .seed = 1};
}

Drawn draw(Pipeline& engine) {
  Drawn drawn;
  Callbacks callbacks;
  callbacks.progress = [&](const Progress&) {
    drawn.counts.insert(thread_count());
    drawn.openmp.insert(openmp_setting());
  };
  Result result = engine.generate(small_request(), callbacks);
  drawn.rgb = std::move(result.images.at(0).rgb);
  drawn.memory = result.plan.memory;
  return drawn;
}

EngineOptions with_threads(int threads) {
  return {.device = "cpu", .threads = threads};
}

TEST(EngineThreads, AreTheEnginesOwnInTurns) {
  const int count = thread_count(), openmp = openmp_setting();
  Pipeline one(with_threads(1)), three(with_threads(3));
  const std::vector<uint8_t> rgb_one = draw(one).rgb, rgb_three = draw(three).rgb;
  for (int round = 0; round < 2; ++round) {
    const Drawn by_one = draw(one), by_three = draw(three);
    EXPECT_EQ(by_one.counts, std::set{1});
    EXPECT_EQ(by_one.openmp, std::set{1});
    EXPECT_EQ(by_one.rgb, rgb_one);
    EXPECT_EQ(by_three.counts, std::set{3});
    EXPECT_EQ(by_three.openmp, std::set{3});
    EXPECT_EQ(by_three.rgb, rgb_three);
    EXPECT_EQ(thread_count(), count);
    EXPECT_EQ(openmp_setting(), openmp);
  }
}

TEST(EngineThreads, AreTheEnginesOwnAtOnce) {
  const int openmp = openmp_setting();
  Pipeline one(with_threads(1)), two(with_threads(2));
  const std::vector<uint8_t> rgb_one = draw(one).rgb, rgb_two = draw(two).rgb;
  const auto keep_drawing = [](Pipeline& engine, int threads, const std::vector<uint8_t>& rgb) {
    for (int i = 0; i < 3; ++i) {
      const Drawn drawn = draw(engine);
      EXPECT_EQ(drawn.counts, std::set{threads});
      EXPECT_EQ(drawn.openmp, std::set{threads});
      EXPECT_EQ(drawn.rgb, rgb);
    }
  };
  std::thread other([&] { keep_drawing(one, 1, rgb_one); });
  keep_drawing(two, 2, rgb_two);
  other.join();
  EXPECT_EQ(openmp_setting(), openmp);
}

// Kernels plan memory for each thread, so a larger number of threads would later need more memory than planned.
TEST(EngineThreads, AreThoseOfTheConstructorUnlessNamed) {
  std::unique_ptr<Pipeline> engine;
  {
    const ThreadScope callers(2);
    engine = std::make_unique<Pipeline>(with_threads(0));
  }
  const ThreadScope callers(5);
  EXPECT_EQ(draw(*engine).counts, std::set{2});
  EXPECT_EQ(openmp_setting(), 5);
}

TEST(EngineThreads, AreRestoredWhereACallThrows) {
  const int count = thread_count(), openmp = openmp_setting();
  Pipeline engine(with_threads(count + 1));
  Request wrong = small_request();
  wrong.width = 63;
  EXPECT_THROW(engine.generate(wrong), Error);
  EXPECT_EQ(thread_count(), count);
  EXPECT_EQ(openmp_setting(), openmp);
}

TEST(EngineThreads, CountInThePlan) {
  for (const int threads : {1, 7}) {
    Pipeline engine(with_threads(threads));
    EXPECT_EQ(plan(with_threads(threads), small_request()).memory.peak_bytes, draw(engine).memory.peak_bytes);
  }
  EXPECT_LT(plan(with_threads(1), small_request()).memory.peak_bytes,
            plan(with_threads(64), small_request()).memory.peak_bytes);
}

}  // namespace
}  // namespace tempera
