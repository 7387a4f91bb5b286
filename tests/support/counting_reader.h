// Weights as kernels read them in tests: parts of stored bytes, and readers that count.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"

namespace tempera {

// A part over bytes of the caller.
inline WeightPart stored_part(DType dtype, std::span<const std::byte> bytes, float factor = 1) {
  return {std::make_shared<StoredElements>(dtype, bytes), bytes.size() / size_of(dtype), factor};
}

// Counts how often each element of the reader below was read and given back.
class CountingReader final : public ElementReader {
 public:
  CountingReader(std::shared_ptr<const ElementReader> below, size_t elements)
      : below_(std::move(below)), reads_(elements), dones_(elements) {}

  void read_block(const ElementBlock& block, DType to, std::byte* destination, size_t pitch) const override {
    for (size_t r = 0; r < block.rows; ++r)
      for (size_t i = block.first + r * block.stride, end = i + block.columns; i < end; ++i) {
        ++reads_.at(i);
        if (dones_.at(i) > 0) late_ = true;
      }
    below_->read_block(block, to, destination, pitch);
  }

  void done(size_t first, size_t n) const noexcept override {
    if (first < next_) unordered_ = true;
    next_ = first + n;
    for (size_t i = first; i < first + n; ++i)
      if (i < dones_.size()) ++dones_[i];
    largest_ = std::max(largest_, n);
    below_->done(first, n);
  }

  // The largest number of elements that were given back in one call.
  size_t largest_piece() const { return largest_; }

  // The fault of the packing; "" if each element was read once and then given back once, in order.
  std::string fault() const {
    for (size_t i = 0; i < reads_.size(); ++i) {
      if (reads_[i] != 1) return fmt::format("reads element {} {} times", i, reads_[i].load());
      if (dones_[i] != 1) return fmt::format("gives element {} back {} times", i, dones_[i].load());
    }
    if (late_) return "reads elements that it gave back";
    return unordered_ ? "gives elements back out of order" : "";
  }

 private:
  std::shared_ptr<const ElementReader> below_;
  mutable std::vector<std::atomic<uint32_t>> reads_, dones_;
  mutable std::atomic<bool> late_ = false;
  mutable bool unordered_ = false;  // only one thread gives back
  mutable size_t next_ = 0, largest_ = 0;
};

// `parts` with counting readers, which are added to `counters`.
inline std::vector<WeightPart> counted(std::vector<WeightPart> parts,
                                       std::vector<std::shared_ptr<const CountingReader>>& counters) {
  for (WeightPart& part : parts) {
    counters.push_back(std::make_shared<CountingReader>(part.reader, part.elements));
    part.reader = counters.back();
  }
  return parts;
}

}  // namespace tempera
