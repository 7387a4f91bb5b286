#include "program/residency.h"

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "base/error.h"

namespace tempera {
namespace {

// Long enough for the full rate of a bus, short enough that steps do not wait long for the first segment.
constexpr size_t kSegment = size_t{64} << 20;
// In the arena, where two segments are in memory at a time.
constexpr size_t kSmallSegment = size_t{8} << 20;

size_t round_up(size_t n, size_t alignment) {
  return (n + alignment - 1) / alignment * alignment;
}

// For every step, the parameters that it reads and their input indices.
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
    body_ = static_cast<uint32_t>(program_.segments.size());
    cut(program_.prologue, end);
    if (options_.stream == 0) {
      lay_out_in_arena();
    } else {
      lay_out_behind_arena();
      schedule(0, body_, std::nullopt);
      schedule(body_, static_cast<uint32_t>(program_.segments.size()), end - program_.prologue);
    }
    size_t top = program_.memory.arena;
    for (const Segment& g : program_.segments) top = std::max(top, g.offset + g.bytes);
    program_.memory.stream = top - program_.memory.arena;
    for (uint32_t g = 0; g < program_.segments.size(); ++g) place(g);
    return std::move(program_);
  }

 private:
  using Inside = std::map<uint32_t, size_t>;  // parameter -> offset in its segment

  size_t bytes(uint32_t weight) const { return round_up(weights_[weight].bytes, options_.alignment); }

  // Spreads the allowance over the parameters of the body. The share is the allowance divided by all of their bytes. A
  // parameter stays if the resident bytes up to and including it are at most this share of all bytes up to it.
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

  // The streamed parameters of step s that are not in `inside`.
  std::vector<uint32_t> wanted(uint32_t s, const Inside& inside) const {
    std::vector<uint32_t> list;
    for (const Read& read : reads_[s])
      if (!resident_[read.weight] && !inside.contains(read.weight) &&
          std::find(list.begin(), list.end(), read.weight) == list.end())
        list.push_back(read.weight);
    return list;
  }

  // Cuts the steps into segments of at most kSegment and a quarter of the space, so that copies can run ahead. A step
  // that reads more has a segment of its own. A parameter that two segments read is copied with both.
  void cut(uint32_t begin, uint32_t end) {
    const size_t most = options_.stream == 0 ? kSmallSegment : std::min(kSegment, options_.stream / 4);
    Segment segment;
    Inside inside;
    const auto close = [&] {
      if (inside.empty()) return;
      program_.segments.push_back(std::exchange(segment, {}));
      insides_.push_back(std::exchange(inside, {}));
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

  // One after the other. Each part of the program starts at the beginning, and so does a segment that would exceed the
  // end.
  void lay_out_behind_arena() {
    size_t cursor = 0;
    for (uint32_t g = 0; g < program_.segments.size(); ++g) {
      Segment& segment = program_.segments[g];
      TEMPERA_ASSERT(segment.bytes <= options_.stream);
      if (g == body_ || cursor + segment.bytes > options_.stream) cursor = 0;
      segment.offset = program_.memory.arena + cursor;
      cursor += segment.bytes;
    }
  }

  // Each lives from the first step of the segment before it to its own last step. They are planned together with all
  // values.
  void lay_out_in_arena() {
    const auto count = static_cast<uint32_t>(program_.segments.size());
    std::vector<Lifetime> lifetimes;
    for (uint32_t g = 0; g < count; ++g) {
      Segment& segment = program_.segments[g];
      const uint32_t begin = g < body_ ? 0 : program_.prologue;
      const bool leads = g == 0 || g == body_;
      const uint32_t from = leads ? begin : program_.segments[g - 1].first;
      lifetimes.push_back({segment.bytes, from, segment.last});
      if (from > begin) {
        segment.after = from - 1;
      } else if (g >= body_) {
        segment.after = static_cast<uint32_t>(program_.steps.size()) - 1;  // for the next run
      }
    }
    for (const Placed& value : program_.values) lifetimes.push_back(value.lifetime);
    const ArenaPlan plan = plan_memory(lifetimes, options_.alignment);
    for (uint32_t g = 0; g < count; ++g) program_.segments[g].offset = plan.offsets[g];
    move_values(std::span(plan.offsets).subspan(count));
    program_.memory.arena = plan.size;
  }

  // Moves every value of the arena, and its addresses in the steps, to another offset.
  void move_values(std::span<const size_t> offsets) {
    std::map<size_t, std::vector<uint32_t>> at;  // offset -> values, none of which live at the same time
    for (uint32_t v = 0; v < program_.values.size(); ++v) at[program_.values[v].offset].push_back(v);
    for (uint32_t s = 0; s < program_.steps.size(); ++s) {
      const auto move = [&](size_t& offset) {
        const auto lives = [&](uint32_t v) {
          const Lifetime& lifetime = program_.values[v].lifetime;
          return lifetime.first <= s && s <= lifetime.last;
        };
        const std::vector<uint32_t>& here = at.at(offset);
        const auto value = std::find_if(here.begin(), here.end(), lives);
        TEMPERA_ASSERT(value != here.end());
        offset = offsets[*value];
      };
      Step& step = program_.steps[s];
      for (Ref& input : step.inputs)
        if (input.space == Space::arena) move(input.offset);
      if (step.output.space == Space::arena) move(step.output.offset);
      if (step.workspace.bytes > 0) move(step.workspace.offset);
    }
    for (uint32_t v = 0; v < program_.values.size(); ++v) program_.values[v].offset = offsets[v];
  }

  // Adds the parameters of the segment. Its steps read them there.
  void place(uint32_t g) {
    Segment& segment = program_.segments[g];
    const Inside& inside = insides_[g];
    segment.first_weight = static_cast<uint32_t>(program_.weights.size());
    segment.weight_count = static_cast<uint32_t>(inside.size());
    for (const auto& [w, offset] : inside) {
      WeightSlot slot = weights_[w];
      slot.offset = segment.offset + offset;
      slot.segment = g;
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
  }

  // When each copy may begin: after the last reader of the memory that it overwrites, and not before the copy ahead of
  // it, since copies are sequential. `period`: the number of steps after which the part runs again. Negative times are
  // times in the run before.
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
  const std::vector<WeightSlot> weights_;  // of the original program
  std::vector<bool> resident_;
  std::vector<Inside> insides_;  // by segment
  uint32_t body_ = 0;            // the first segment of the body
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
  TEMPERA_ASSERT(program.segments.empty());
  TEMPERA_ASSERT(options.stream == 0 || options.stream >= least_stream(program, options.alignment));
  return Streaming(std::move(program), options).run();
}

}  // namespace tempera
