#include "backend/cuda/staging_ring.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"

namespace tempera::cuda {
namespace {

constexpr size_t kAlignment = 256;  // of places: for fast copies

}  // namespace

// Does `work` without the lock, and stores its exception.
template <class Work>
void StagingRing::without(Lock& lock, const Work& work) {
  lock.unlock();
  std::exception_ptr error;
  try {
    work();
  } catch (...) {
    error = std::current_exception();
  }
  lock.lock();
  if (error && !error_) error_ = error;
}

StagingRing::StagingRing(StagingMemory& memory, std::span<const Transfers::Item> items, Device device, int threads)
    : memory_(memory), items_(items), device_(std::move(device)), started_(items.size()), copied_(items.size()) {
  for (const Transfers::Item& item : items) TEMPERA_ASSERT(item.bytes <= memory.bytes.size());
  try {
    for (int i = 0; i < threads; ++i)
      threads_.emplace_back([this, team = thread_count()] {
        work_beside(team);
        run();
      });
  } catch (const std::system_error&) {  // the system has no more: fewer do as well
    if (threads_.empty()) throw;
  }
}

StagingRing::~StagingRing() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  for (size_t i = 0; i < enqueued_; ++i) {
    try {
      device_.wait(places_[i].item);
    } catch (...) {  // a device that fails copies nothing any more
    }
  }
  if (memory_.user == this) memory_.user = nullptr;
}

void StagingRing::start(uint32_t item) {
  if (memory_.user != this) {
    if (memory_.user != nullptr) memory_.user->finish();
    memory_.user = this;
  }
  {
    const std::lock_guard lock(mutex_);
    ++started_[item];
    waiting_.push_back(item);
  }
  changed_.notify_all();
}

void StagingRing::await(uint32_t item) {
  Lock lock(mutex_);
  changed_.wait(lock, [&] { return copied_[item] == started_[item] || error_; });
  if (!error_) return;
  told_ = true;
  std::rethrow_exception(error_);
}

void StagingRing::finish() {
  Lock lock(mutex_);
  changed_.wait(lock, [&] { return packing_ == 0 && (waiting_.empty() || error_); });
  for (; enqueued_ > 0; --enqueued_) {
    without(lock, [&] { device_.wait(places_.front().item); });
    places_.pop_front();
  }
  if (!error_) return;
  // Drops all copies that did not finish. The ring is then as new.
  waiting_.clear();
  places_.clear();
  end_ = 0;
  copied_ = started_;
  const std::exception_ptr error = std::exchange(error_, nullptr);
  if (!std::exchange(told_, false)) std::rethrow_exception(error);
}

void StagingRing::run() {
  Lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || may_pack_next(); });
    if (stop_) return;
    pack_next(lock);
    changed_.notify_all();
  }
}

// Places are assigned in order, and no item is packed twice at the same time.
bool StagingRing::may_pack_next() const {
  return !waiting_.empty() && !error_ && !making_room_ &&
         std::none_of(places_.begin() + static_cast<std::ptrdiff_t>(enqueued_), places_.end(),
                      [&](const Place& p) { return !p.packed && p.item == waiting_.front(); });
}

void StagingRing::pack_next(Lock& lock) {
  const uint32_t item = waiting_.front();
  waiting_.pop_front();
  const size_t bytes = items_[item].bytes;
  ++packing_;
  const size_t offset = end_ + bytes <= memory_.bytes.size() ? end_ : 0;
  make_room(lock, offset, bytes);
  if (!stop_ && !error_) {
    Place& place =
        places_.emplace_back(Place{item, offset, bytes});  // its address is stable: a deque grows at its ends
    end_ = std::min((offset + bytes + kAlignment - 1) / kAlignment * kAlignment, memory_.bytes.size());
    changed_.notify_all();  // the next thread may look for room
    without(lock, [&] { items_[item].fill(memory_.bytes.data() + offset); });
    if (!error_) place.packed = true;
    copy_what_is_packed();
  }
  --packing_;
}

// Waits until [offset, offset + bytes) is empty. The items there were started earlier, so their copies do not depend on
// any later item.
void StagingRing::make_room(Lock& lock, size_t offset, size_t bytes) {
  making_room_ = true;
  const auto taken = [&] {
    return std::any_of(places_.begin(), places_.end(),
                       [&](const Place& p) { return p.offset < offset + bytes && offset < p.offset + p.bytes; });
  };
  while (taken() && !stop_ && !error_) {
    changed_.wait(lock, [&] { return enqueued_ > 0 || stop_ || error_; });
    if (enqueued_ == 0) break;
    without(lock, [&] { device_.wait(places_.front().item); });
    places_.pop_front();
    --enqueued_;
  }
  making_room_ = false;
}

void StagingRing::copy_what_is_packed() {
  for (; !error_ && enqueued_ < places_.size() && places_[enqueued_].packed; ++enqueued_) {
    const Place& place = places_[enqueued_];
    try {
      device_.copy(place.item, memory_.bytes.data() + place.offset);
    } catch (...) {
      error_ = std::current_exception();
      return;
    }
    ++copied_[place.item];
  }
}

}  // namespace tempera::cuda
