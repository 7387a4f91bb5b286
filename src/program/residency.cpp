#include "program/residency.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/error.h"

namespace tempera {
namespace {

// Long enough for the full rate of a bus, short enough that steps need not wait long for the first.
constexpr size_t kSegment = size_t{64} << 20;

size_t round_up(size_t n, size_t alignment) {
  return (n + alignment - 1) / alignment * alignment;
}

// For every step the parameters that it reads: which input is which.
struct Read {
  uint32_t input, weight;
};
std::vector<std::vector<Read>> find_reads(const Program& program) {
  std::map<size_t, uint32_t> by_offset;
  for (uint32_t w = 0; w < program.weights.size(); ++w) by_offset[program.weights[w].offset] = w;
  std::vector<std::vector<Read>> reads;
  for (const Step& step : program.steps) {
    std::vector<Read>& mine = reads.emplace_back();
    for (uint32_t i = 0; i < step.inputs.size(); ++i)
      if (step.inputs[i].space == Space::weights) mine.push_back({i, by_offset.at(step.inputs[i].offset)});
  }
  return reads;
}

class Streaming {
 public:
  Streaming(Program program, const StreamOptions& options)
      : program_(std::move(program)),
        options_(options),
        reads_(find_reads(program_)),
        weights_(std::exchange(program_.weights, {})),
        resident_(weights_.size()) {}

  Program run() {
    const auto end = static_cast<uint32_t>(program_.steps.size());
    keep_resident();
    cut(0, program_.prologue);
    const auto body = static_cast<uint32_t>(program_.segments.size());
    cut(program_.prologue, end);
    schedule(0, body, std::nullopt);
    schedule(body, static_cast<uint32_t>(program_.segments.size()), end - program_.prologue);
    for (const Segment& g : program_.segments)
      program_.memory.stream = std::max(program_.memory.stream, g.offset + g.bytes);
    return std::move(program_);
  }

 private:
  size_t bytes(uint32_t weight) const { return round_up(weights_[weight].bytes, options_.alignment); }

  // Spreads the allowance over what the body reads: a parameter stays when that keeps the share of what stays in what
  // came so far under the share of the whole.
  void keep_resident() {
    std::vector<uint32_t> order;
    std::vector<bool> seen(weights_.size());
    size_t all = 0;
    for (size_t s = program_.prologue; s < reads_.size(); ++s)
      for (const Read& read : reads_[s]) {
        if (seen[read.weight]) continue;
        seen[read.weight] = true;
        order.push_back(read.weight);
        all += bytes(read.weight);
      }
    const double share =
        all == 0 ? 0 : std::min(1.0, static_cast<double>(options_.resident) / static_cast<double>(all));
    double passed = 0;
    std::vector<size_t> offsets(weights_.size());
    program_.memory.weights = 0;
    for (const uint32_t w : order) {
      passed += static_cast<double>(bytes(w));
      const size_t then = program_.memory.weights + bytes(w);
      if (then > options_.resident || static_cast<double>(then) > share * passed + 0.5) continue;
      resident_[w] = true;
      WeightSlot slot = weights_[w];
      offsets[w] = slot.offset = program_.memory.weights;
      program_.weights.push_back(std::move(slot));
      program_.memory.weights = then;
    }
    for (size_t s = 0; s < reads_.size(); ++s)
      for (const Read& read : reads_[s])
        if (resident_[read.weight]) program_.steps[s].inputs[read.input].offset = offsets[read.weight];
  }

  // What step s reads that travels and is not in `inside`.
  std::vector<uint32_t> wanted(uint32_t s, const std::map<uint32_t, size_t>& inside) const {
    std::vector<uint32_t> list;
    for (const Read& read : reads_[s])
      if (!resident_[read.weight] && !inside.contains(read.weight) &&
          std::find(list.begin(), list.end(), read.weight) == list.end())
        list.push_back(read.weight);
    return list;
  }

  // Cuts the steps into segments of at most kSegment and a quarter of the space, so that copies can run ahead; a step
  // that reads more has one of its own. A parameter that two segments read travels with both.
  void cut(uint32_t begin, uint32_t end) {
    const size_t most = std::min(kSegment, options_.stream / 4);
    size_t cursor = 0;
    Segment segment;
    std::map<uint32_t, size_t> inside;  // parameter -> offset in the segment
    const auto close = [&] {
      if (inside.empty()) return;
      TEMPERA_ASSERT(segment.bytes <= options_.stream);
      if (cursor + segment.bytes > options_.stream) cursor = 0;
      segment.offset = cursor;
      cursor += segment.bytes;
      place(segment, inside);
      segment = {};
      inside.clear();
    };
    for (uint32_t s = begin; s < end; ++s) {
      std::vector<uint32_t> more = wanted(s, inside);
      size_t room = segment.bytes;
      for (const uint32_t w : more) room += bytes(w);
      if (!inside.empty() && !more.empty() && room > most) {
        close();
        more = wanted(s, inside);
      }
      for (const uint32_t w : more) {
        if (inside.empty()) segment.first = s;
        inside[w] = segment.bytes;
        segment.bytes += bytes(w);
      }
      const auto travels = [&](const Read& read) { return inside.contains(read.weight); };
      if (std::any_of(reads_[s].begin(), reads_[s].end(), travels)) segment.last = s;
    }
    close();
  }

  // Adds the segment and its parameters; its steps read there.
  void place(Segment segment, const std::map<uint32_t, size_t>& inside) {
    segment.first_weight = static_cast<uint32_t>(program_.weights.size());
    segment.weight_count = static_cast<uint32_t>(inside.size());
    for (const auto& [w, offset] : inside) {
      WeightSlot slot = weights_[w];
      slot.offset = segment.offset + offset;
      slot.segment = static_cast<uint32_t>(program_.segments.size());
      program_.weights.push_back(std::move(slot));
    }
    for (uint32_t s = segment.first; s <= segment.last; ++s)
      for (const Read& read : reads_[s]) {
        const auto it = inside.find(read.weight);
        if (it == inside.end()) continue;
        Ref& ref = program_.steps[s].inputs[read.input];
        ref.space = Space::stream;
        ref.offset = segment.offset + it->second;
      }
    program_.segments.push_back(segment);
  }

  // When each copy may begin: after the last reader of what it covers, and not before the copy ahead of it, since one
  // follows the other. `period`: steps after which the part runs again; times before it are times in the run before.
  void schedule(uint32_t begin, uint32_t end, std::optional<uint32_t> period) {
    std::optional<int64_t> ahead;
    for (uint32_t j = begin; j < end; ++j) {
      Segment& mine = program_.segments[j];
      std::optional<int64_t> after;
      for (uint32_t i = begin; i < end; ++i) {
        const Segment& other = program_.segments[i];
        const bool apart = other.offset + other.bytes <= mine.offset || mine.offset + mine.bytes <= other.offset;
        if (i == j || apart || (i > j && !period)) continue;
        const int64_t read = i < j ? int64_t{other.last} : int64_t{other.last} - *period;
        after = after ? std::max(*after, read) : read;
      }
      if (!after) continue;
      if (ahead) after = std::max(*after, *ahead);
      ahead = after;
      const bool before = *after < (period ? int64_t{program_.prologue} : 0);
      mine.after = static_cast<uint32_t>(before ? *after + *period : *after);
    }
  }

  Program program_;
  const StreamOptions options_;
  const std::vector<std::vector<Read>> reads_;
  const std::vector<WeightSlot> weights_;  // of the program as it came
  std::vector<bool> resident_;
};

}  // namespace

size_t least_stream(const Program& program, size_t alignment) {
  size_t least = 0;
  for (const std::vector<Read>& reads : find_reads(program)) {
    size_t bytes = 0;
    std::map<uint32_t, bool> seen;
    for (const Read& read : reads)
      if (!std::exchange(seen[read.weight], true)) bytes += round_up(program.weights[read.weight].bytes, alignment);
    least = std::max(least, bytes);
  }
  return least;
}

Program stream_weights(Program program, const StreamOptions& options) {
  TEMPERA_ASSERT(program.segments.empty() && options.stream >= least_stream(program, options.alignment));
  return Streaming(std::move(program), options).run();
}

}  // namespace tempera
