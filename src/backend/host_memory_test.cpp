#include "backend/host_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <utility>

#include "base/parallel.h"

namespace tempera {
namespace {

TEST(HostMemory, SomeIsFree) {
  EXPECT_GT(free_host_memory(), size_t{1} << 20);
  EXPECT_LE(free_host_memory(), total_host_memory());
  EXPECT_LT(total_host_memory(), size_t{1} << 50);
}

TEST(HostMemory, CopiesRowsOneBehindTheOther) {
  std::vector<std::byte> from(12), to(5, std::byte{99});
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i);
  copy_rows(to.data(), {&from[1], 2, 2, 5});
  EXPECT_EQ(to, (std::vector{std::byte{1}, std::byte{2}, std::byte{6}, std::byte{7}, std::byte{99}}));
}

TEST(HostTransfers, BringsWhatWasStartedInOrder) {
  std::vector<std::byte> memory(8);
  std::vector<Transfers::Item> items;
  items.reserve(4);
  std::vector<int> order;
  for (int i = 0; i < 4; ++i)
    items.push_back({&memory[static_cast<size_t>(i)], 1, [&order, i](std::byte* to) {
                       *to = std::byte{1};
                       order.push_back(i);
                     }});
  const std::unique_ptr<Transfers> transfers = make_host_transfers(std::move(items));
  for (const uint32_t item : {2u, 0u, 3u}) transfers->start(item);
  transfers->await(0);
  EXPECT_EQ(memory[2], std::byte{1}) << "was started before";
  EXPECT_EQ(memory[0], std::byte{1});
  transfers->finish();
  EXPECT_EQ(order, (std::vector<int>{2, 0, 3}));
  EXPECT_EQ(memory[1], std::byte{0}) << "was not started";
}

// The writing thread is not the engine's, but it must not use more cores than the engine may.
TEST(HostTransfers, CountsTheThreadsOfWhoMadeThem) {
  for (const int threads : {1, 8, 20}) {
    const ThreadScope scope(threads);
    std::byte memory{};
    std::atomic<int> ranges{0};
    const std::unique_ptr<Transfers> transfers = make_host_transfers(
        {{&memory, 1, [&](std::byte*) { parallel_for(100, 1, [&](int64_t, int64_t) { ++ranges; }); }}});
    transfers->start(0);
    transfers->finish();
    EXPECT_EQ(ranges, std::max(1, threads / 4)) << threads;
  }
}

TEST(HostTransfers, BringsTheSameAgain) {
  std::byte memory{};
  int times = 0;
  const std::unique_ptr<Transfers> transfers =
      make_host_transfers({{&memory, 1, [&](std::byte* to) { *to = static_cast<std::byte>(++times); }}});
  for (int i = 1; i <= 100; ++i) {
    transfers->start(0);
    transfers->await(0);
    ASSERT_EQ(memory, static_cast<std::byte>(i));
  }
}

TEST(HostTransfers, AwaitingThrowsWhatWritingThrew) {
  std::byte memory{};
  const std::unique_ptr<Transfers> transfers = make_host_transfers({{&memory, 1, [gone = true](std::byte* to) mutable {
                                                                       if (std::exchange(gone, false))
                                                                         throw std::runtime_error("the file is gone");
                                                                       *to = std::byte{1};
                                                                     }}});
  transfers->start(0);
  EXPECT_THROW(transfers->await(0), std::runtime_error);
  transfers->finish();
  transfers->start(0);
  transfers->await(0);
  transfers->finish();
  EXPECT_EQ(memory, std::byte{1});
}

TEST(HostTransfers, FinishingThrowsWhatNobodyAwaited) {
  std::byte memory{};
  const std::unique_ptr<Transfers> transfers =
      make_host_transfers({{&memory, 1, [](std::byte*) { throw std::runtime_error("the file is gone"); }}});
  transfers->start(0);
  EXPECT_THROW(transfers->finish(), std::runtime_error);
  transfers->finish();
}

TEST(HostTransfers, EndsWithTransfersUnderWay) {
  std::vector<std::byte> memory(1000);
  std::vector<Transfers::Item> items;
  items.reserve(memory.size());
  for (std::byte& b : memory) items.push_back({&b, 1, [](std::byte* to) { *to = std::byte{1}; }});
  const std::unique_ptr<Transfers> transfers = make_host_transfers(std::move(items));
  for (uint32_t i = 0; i < 1000; ++i) transfers->start(i);
}

}  // namespace
}  // namespace tempera
