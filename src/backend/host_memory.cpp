#include "backend/host_memory.h"

#include <sys/sysinfo.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <fstream>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "backend/memory_limits.h"
#include "base/parallel.h"

namespace tempera {
namespace {

// The queue's work runs on the caller's threads, so it is complete when a transfer is started.
class HostTransfers final : public Transfers {
 public:
  explicit HostTransfers(std::vector<Item> items)
      : items_(std::move(items)), wanted_(items_.size()), done_(items_.size()), thread_([this, team = thread_count()] {
          work_beside(team);
          run();
        }) {}

  ~HostTransfers() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      waiting_.clear();
    }
    changed_.notify_all();
    thread_.join();
  }
  HostTransfers(const HostTransfers&) = delete;
  HostTransfers& operator=(const HostTransfers&) = delete;

  void start(uint32_t item) override {
    {
      const std::lock_guard lock(mutex_);
      ++wanted_[item];
      waiting_.push_back(item);
    }
    changed_.notify_all();
  }

  void await(uint32_t item) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_[item] == wanted_[item] || error_; });
    if (!error_) return;
    told_ = true;
    std::rethrow_exception(error_);
  }

  void finish() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !busy_ && (waiting_.empty() || error_); });
    if (!error_) return;
    waiting_.clear();
    done_ = wanted_;
    const std::exception_ptr error = std::exchange(error_, nullptr);
    if (!std::exchange(told_, false)) std::rethrow_exception(error);
  }

  void rebase(const std::byte* from, std::byte* to) override {
    const std::lock_guard lock(mutex_);
    Transfers::rebase(items_, from, to);
  }

  void watch(bool on) override {
    const std::lock_guard lock(mutex_);
    watched_ = on;
    copied_.clear();
  }

  std::vector<Copied> copied() override {
    const std::lock_guard lock(mutex_);
    return std::exchange(copied_, {});
  }

 private:
  using Clock = std::chrono::steady_clock;

  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return stop_ || (!waiting_.empty() && !error_); });
      if (stop_) return;
      const uint32_t item = waiting_.front();
      waiting_.pop_front();
      busy_ = true;
      lock.unlock();
      std::exception_ptr error;
      const Clock::time_point begin = Clock::now();
      try {
        items_[item].fill(items_[item].to);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      busy_ = false;
      ++done_[item];
      if (error) error_ = error;
      if (watched_) copied_.push_back({item, begin, std::chrono::duration<double>(Clock::now() - begin).count()});
      changed_.notify_all();
    }
  }

  std::vector<Item> items_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<uint32_t> waiting_;
  std::vector<uint64_t> wanted_, done_;  // how often each was started and written
  std::exception_ptr error_;
  bool told_ = false;  // await() has thrown error_
  bool busy_ = false, stop_ = false, watched_ = false;
  std::vector<Copied> copied_;
  std::thread thread_;
};

// A line of /proc/meminfo, in bytes. Without /proc, the kernel's own count, which does not include the cache.
size_t of_machine(const std::string& name, unsigned long (*pages)(const struct sysinfo&)) {
  std::ifstream file("/proc/meminfo");
  std::string word;
  size_t kilobytes = 0;
  while (file >> word && word != name) file.ignore(1 << 10, '\n');
  if (file >> kilobytes) return kilobytes * 1024;
  struct sysinfo info {};
  return ::sysinfo(&info) == 0 ? pages(info) * info.mem_unit : 0;
}

}  // namespace

size_t free_host_memory() {
  size_t free = of_machine("MemAvailable:", [](const struct sysinfo& info) { return info.freeram + info.bufferram; });
  for (const auto& limit : {control_group_limit(), process_limit()})
    if (limit) free = std::min(free, limit->free);
  return free;
}

size_t total_host_memory() {
  size_t total = of_machine("MemTotal:", [](const struct sysinfo& info) { return info.totalram; });
  for (const auto& limit : {control_group_limit(), process_limit()})
    if (limit) total = std::min(total, limit->total);
  return total;
}

void copy_rows(std::byte* to, const DeviceRows& from) {
  for (size_t row = 0; row < from.count; ++row)
    std::copy_n(from.data + row * from.stride, from.bytes, to + row * from.bytes);
}

std::unique_ptr<Transfers> make_host_transfers(std::vector<Transfers::Item> items) {
  return std::make_unique<HostTransfers>(std::move(items));
}

}  // namespace tempera
