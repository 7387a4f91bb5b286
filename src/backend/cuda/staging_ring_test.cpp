// The ring with a device that is a thread. It copies one item after the other, at random times.
#include "backend/cuda/staging_ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <stdexcept>

#include "base/parallel.h"

namespace tempera::cuda {
namespace {

class Device {
 public:
  explicit Device(std::vector<Transfers::Item> items) : items_(std::move(items)), thread_([this] { run(); }) {}
  ~Device() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Copies wait for the first release().
  void hold() { held_ = true; }
  void release() {
    {
      const std::lock_guard lock(mutex_);
      held_ = false;
    }
    changed_.notify_all();
  }
  size_t copies() {
    const std::lock_guard lock(mutex_);
    return order_.size();
  }
  std::vector<uint32_t> order() {
    const std::lock_guard lock(mutex_);
    return order_;
  }
  // Until all copies of the ring are complete.
  void wait_for_all() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return queue_.empty(); });
  }

  StagingRing::Device functions() {
    return {[this](uint32_t item, const std::byte* from) {
              const std::lock_guard lock(mutex_);
              queue_.push_back({item, from});
              changed_.notify_all();
            },
            [this](uint32_t item) {
              std::unique_lock lock(mutex_);
              changed_.wait(lock, [&] {
                return std::none_of(queue_.begin(), queue_.end(), [&](const Copy& c) { return c.item == item; });
              });
            }};
  }
  const std::vector<Transfers::Item>& items() const { return items_; }

 private:
  struct Copy {
    uint32_t item;
    const std::byte* from;
  };
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return (!queue_.empty() && !held_) || (stop_ && queue_.empty()); });
      if (queue_.empty()) return;
      const Copy copy = queue_.front();
      lock.unlock();
      std::this_thread::yield();
      std::copy_n(copy.from, items_[copy.item].bytes, items_[copy.item].to);
      lock.lock();
      queue_.pop_front();
      order_.push_back(copy.item);
      changed_.notify_all();
    }
  }

  const std::vector<Transfers::Item> items_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Copy> queue_;
  std::vector<uint32_t> order_;
  bool stop_ = false, held_ = false;
  std::thread thread_;
};

// Items of several sizes, one after the other. Each time an item is packed, its bytes are different.
class Parameters {
 public:
  explicit Parameters(const std::vector<size_t>& sizes) : times_(sizes.size()) {
    size_t all = 0;
    for (const size_t bytes : sizes) all += bytes;
    memory_.resize(all);
    std::byte* to = memory_.data();
    for (uint32_t i = 0; i < sizes.size(); ++i) {
      items_.push_back({to, sizes[i], [this, i, bytes = sizes[i]](std::byte* host) {
                          ++times_[i];
                          std::fill_n(host, bytes, value(i, times_[i]));
                        }});
      to += sizes[i];
    }
  }
  const std::vector<Transfers::Item>& items() const { return items_; }

  ::testing::AssertionResult holds(uint32_t item, int times) const {
    const Transfers::Item& i = items_[item];
    if (std::all_of(i.to, i.to + i.bytes, [&](std::byte b) { return b == value(item, times); }))
      return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "item " << item << " is not what was packed the time " << times;
  }

 private:
  static std::byte value(uint32_t item, int times) {
    return static_cast<std::byte>(item * 31 + static_cast<uint32_t>(times) * 7 + 1);
  }
  std::vector<std::byte> memory_;
  std::vector<int> times_;
  std::vector<Transfers::Item> items_;
};

class Rings : public ::testing::TestWithParam<int> {
 protected:
  std::vector<std::byte> bytes_ = std::vector<std::byte>(4096);
  StagingMemory memory_{bytes_};
};

TEST_P(Rings, BringWhatWasStartedInOrder) {
  Parameters parameters({10, 20, 30, 40});
  Device device(parameters.items());
  StagingRing ring(memory_, device.items(), device.functions(), GetParam());
  for (const uint32_t item : {2u, 0u, 3u}) ring.start(item);
  ring.finish();
  EXPECT_EQ(device.order(), (std::vector<uint32_t>{2, 0, 3}));
  for (const uint32_t item : {2u, 0u, 3u}) EXPECT_TRUE(parameters.holds(item, 1));
  EXPECT_FALSE(parameters.holds(1, 1)) << "was not started";
}

// The packing threads are not the engine's, but their loops must not use more cores than the engine may.
TEST_P(Rings, CountTheThreadsOfWhoMadeThem) {
  const ThreadScope scope(12);
  std::byte to{};
  std::atomic<int> ranges{0};
  Device device({{&to, 1, [&](std::byte* host) {
                    *host = std::byte{1};
                    parallel_for(100, 1, [&](int64_t, int64_t) { ++ranges; });
                  }}});
  StagingRing ring(memory_, device.items(), device.functions(), GetParam());
  ring.start(0);
  ring.finish();
  EXPECT_EQ(ranges, 3) << "a quarter of the engine's";
}

// Sizes up to all of the memory, in an order that wraps in every way. The device is slow or fast.
TEST_P(Rings, BringMoreThanTheyHold) {
  std::mt19937 random(1);
  std::vector<size_t> sizes = {4096, 1};
  for (int i = 0; i < 14; ++i) sizes.push_back(1 + random() % 2500);
  Parameters parameters(sizes);
  Device device(parameters.items());
  StagingRing ring(memory_, device.items(), device.functions(), GetParam());
  std::vector<uint32_t> order;
  for (int run = 1; run <= 50; ++run) {
    for (uint32_t i = 0; i < sizes.size(); ++i) {
      ring.start(i);
      order.push_back(i);
    }
    for (uint32_t i = 0; i < sizes.size(); ++i) ring.await(i);
    device.wait_for_all();
    for (uint32_t i = 0; i < sizes.size(); ++i) ASSERT_TRUE(parameters.holds(i, run));
  }
  EXPECT_EQ(device.order(), order);
}

TEST_P(Rings, BringTheSameAgain) {
  Parameters parameters({1500});
  Device device(parameters.items());
  StagingRing ring(memory_, device.items(), device.functions(), GetParam());
  for (int i = 0; i < 100; ++i) ring.start(0);
  ring.finish();
  EXPECT_EQ(device.copies(), 100u);
  EXPECT_TRUE(parameters.holds(0, 100));
}

// Four fit. While the device copies nothing, the ring does not wait for the fifth.
TEST_P(Rings, RunAheadOfTheDeviceAsFarAsThereIsRoom) {
  Parameters parameters(std::vector<size_t>(6, 1024));
  Device device(parameters.items());
  device.hold();
  StagingRing ring(memory_, device.items(), device.functions(), GetParam());
  for (uint32_t i = 0; i < 6; ++i) ring.start(i);
  for (uint32_t i = 0; i < 4; ++i) ring.await(i);
  EXPECT_EQ(device.copies(), 0u);
  device.release();
  ring.await(5);
  EXPECT_GE(device.copies(), 2u);
  ring.finish();
  for (uint32_t i = 0; i < 6; ++i) EXPECT_TRUE(parameters.holds(i, 1));
}

TEST_P(Rings, ThrowWhatPackingThrew) {
  std::byte to[2] = {};
  const std::vector<Transfers::Item> items = {{&to[0], 1, [](std::byte* host) { *host = std::byte{1}; }},
                                              {&to[1], 1, [](std::byte*) { throw std::runtime_error("no file"); }}};
  Device device(items);
  StagingRing ring(memory_, device.items(), device.functions(), GetParam());
  ring.start(0);
  ring.await(0);
  ring.start(1);
  ring.start(0);
  EXPECT_THROW(ring.await(1), std::runtime_error);
  ring.finish();
  EXPECT_EQ(to[0], std::byte{1});
  EXPECT_EQ(to[1], std::byte{0});
  // An error that await() did not throw is thrown at the end, and the ring can be used again.
  ring.start(1);
  EXPECT_THROW(ring.finish(), std::runtime_error);
  to[0] = std::byte{0};
  ring.start(0);
  ring.await(0);
  ring.finish();
  EXPECT_EQ(to[0], std::byte{1});
}

TEST_P(Rings, ThrowWhatTheDeviceThrew) {
  Parameters parameters({10, 4096});
  for (const bool waiting : {false, true}) {
    StagingRing::Device device{[&](uint32_t, const std::byte*) {
                                 if (!waiting) throw std::runtime_error("no card");
                               },
                               [](uint32_t) { throw std::runtime_error("no card"); }};
    StagingRing ring(memory_, parameters.items(), device, GetParam());
    ring.start(0);
    ring.start(1);  // needs the other's place
    EXPECT_THROW(ring.await(1), std::runtime_error);
    ring.finish();
  }
}

TEST_P(Rings, EndWithCopiesUnderWay) {
  Parameters parameters(std::vector<size_t>(50, 1000));
  Device device(parameters.items());
  StagingRing ring(memory_, device.items(), device.functions(), GetParam());
  for (uint32_t i = 0; i < 50; ++i) ring.start(i);
}

// As the programs of a request do. A ring that ends leaves nothing in the memory.
TEST_P(Rings, TakeTurnsWithTheMemory) {
  Parameters here({3000, 2000}), there({2500, 4000});
  Device device(here.items()), other(there.items());
  StagingRing ring(memory_, device.items(), device.functions(), GetParam());
  for (int run = 1; run <= 20; ++run) {
    StagingRing next(memory_, other.items(), other.functions(), GetParam());
    for (const uint32_t i : {0u, 1u}) ring.start(i);
    for (const uint32_t i : {0u, 1u}) next.start(i);
    for (const uint32_t i : {0u, 1u}) {
      EXPECT_TRUE(here.holds(i, run)) << "before the other began";
      next.await(i);
    }
  }
  other.wait_for_all();
  for (const uint32_t i : {0u, 1u}) EXPECT_TRUE(there.holds(i, 20));
}

INSTANTIATE_TEST_SUITE_P(Threads, Rings, ::testing::Values(1, 2, 5));

}  // namespace
}  // namespace tempera::cuda
