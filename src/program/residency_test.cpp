// Streamed programs against a simulated space. Every step must find its parameters there, and no copy may begin while a
// later step reads the memory that it overwrites.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "program/lower_fixture.h"
#include "program/residency.h"

namespace tempera {
namespace {

constexpr size_t kAlign = 64;

// Simulates a streamed program: the prologue once, then the body a few times, with copies at the noted steps.
class Simulation {
 public:
  Simulation(const Program& program, const Program& plain) : p_(program), plain_(plain) {}

  size_t copies() const { return copies_; }

  void run(int times) {
    enter(0, p_.prologue);
    for (uint32_t s = 0; s < p_.prologue; ++s) step(s, 0);
    enter(p_.prologue, static_cast<uint32_t>(p_.steps.size()));
    for (int i = 0; i < times; ++i)
      for (uint32_t s = p_.prologue; s < p_.steps.size(); ++s) step(s, p_.prologue);
  }

 private:
  void enter(uint32_t begin, uint32_t end) {
    for (uint32_t g = 0; g < p_.segments.size(); ++g) {
      const Segment& segment = p_.segments[g];
      if (segment.first >= begin && segment.first < end && segment.on_entry()) copy(g);
    }
  }

  // The simulated bytes name the parameter. The simulated copy is immediate, so an early overwrite is found.
  void copy(uint32_t g) {
    ++copies_;
    const Segment& segment = p_.segments[g];
    ASSERT_LE(segment.offset + segment.bytes, p_.memory.scratch());
    for (auto it = there_.begin(); it != there_.end();)
      it = it->first < segment.offset + segment.bytes && it->second.end > segment.offset ? there_.erase(it)
                                                                                         : std::next(it);
    for (uint32_t w = 0; w < segment.weight_count; ++w) {
      const WeightSlot& slot = p_.weights[segment.first_weight + w];
      ASSERT_EQ(slot.segment, g);
      there_[slot.offset] = {slot.offset + slot.bytes, slot.source.names};
    }
  }

  void step(uint32_t s, uint32_t part) {
    for (size_t i = 0; i < p_.steps[s].inputs.size(); ++i) {
      const Ref &now = p_.steps[s].inputs[i], &before = plain_.steps[s].inputs[i];
      if (before.space != Space::weights) {
        expect_same_value(now, before, s);
        continue;
      }
      EXPECT_EQ(now.desc, before.desc);
      if (now.space == Space::weights) {
        EXPECT_EQ(names_at(p_, now.offset), names_at(plain_, before.offset));
      } else {
        ASSERT_EQ(now.space, Space::stream);
        ASSERT_TRUE(there_.contains(now.offset)) << "step " << s << " misses a parameter";
        EXPECT_EQ(there_[now.offset].names, names_at(plain_, before.offset));
      }
    }
    expect_same_value(p_.steps[s].output, plain_.steps[s].output, s);
    for (uint32_t g = 0; g < p_.segments.size(); ++g)
      if (p_.segments[g].first >= part && p_.segments[g].after == s) copy(g);
  }

  // The current place in the arena.
  void expect_same_value(Ref now, const Ref& before, uint32_t s) {
    for (size_t v = 0; v < plain_.values.size() && before.space == Space::arena; ++v) {
      const auto& [offset, lifetime] = plain_.values[v];
      if (offset != before.offset || lifetime.first > s || lifetime.last < s) continue;
      EXPECT_EQ(now.offset, p_.values[v].offset);
      now.offset = before.offset;
    }
    EXPECT_EQ(now, before);
  }

  static std::vector<std::string> names_at(const Program& program, size_t offset) {
    for (const WeightSlot& slot : program.weights)
      if (slot.segment == WeightSlot::kResident && slot.offset == offset) return slot.source.names;
    return {"nothing"};
  }

  struct Bytes {
    size_t end = 0;
    std::vector<std::string> names;
  };
  const Program &p_, &plain_;
  std::map<size_t, Bytes> there_;
  size_t copies_ = 0;
};

// A chain of layers, some before the loop. Two steps read some of the parameters.
Program chain(unsigned seed, const Target& target) {
  Builder b("chain", DType::f32);
  std::mt19937 random(seed);
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const auto layer = [&](Tensor x, int name, int64_t out) {
    return b.linear(x, Scope{"w" + std::to_string(name)}, {.out = out, .bias = false});
  };
  Tensor once = b.input("c", DType::f32, {4, 16}, Rate::request);
  for (int i = 0; i < 5; ++i) once = layer(once, 100 + i, 16 * (1 + pick(3)));
  Tensor x = b.input("x", DType::f32, {4, 16}, Rate::step);
  for (int i = 0; i < 30; ++i)
    x = pick(4) == 0 ? layer(x, 1000 + static_cast<int>(x.shape()[-1]), x.shape()[-1])
                     : layer(x, i, 16 * (1 + pick(4)));
  b.output("once", once);
  b.output("y", x);
  return lower(std::move(b).finish(), target);
}

TEST_F(LowerTest, StreamedParametersAreThereWhenTheyAreRead) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const Program plain = chain(seed, fake.target());
    const size_t least = least_stream(plain, kAlign), all = plain.memory.weights;
    for (const size_t stream : {least, least + 1000, 2 * least, 4 * least, all, 3 * all})
      for (const size_t resident : {size_t{0}, all / 3, all}) {
        const Program streamed = stream_weights(plain, {stream, resident, kAlign});
        EXPECT_LE(streamed.memory.stream, stream);
        EXPECT_LE(streamed.memory.weights, resident);
        EXPECT_EQ(streamed.memory.arena, plain.memory.arena);
        Simulation(streamed, plain).run(3);
      }
  }
}

// In the arena, nothing overlaps during its lifetime. The lifetime of a segment includes its copy.
TEST_F(LowerTest, ParametersInTheArenaKeepOffItsValues) {
  fake.row(OpKind::linear).workspace = [](const Problem& p) -> size_t { return p.output.bytes() / 2; };
  // Several MiB each, so that there are many segments.
  fake.row(OpKind::linear).packed = [](const Problem& p, int input) -> KernelInfo::Packed {
    return {p.inputs[static_cast<size_t>(input)].bytes() << 10, "large"};
  };
  for (unsigned seed = 0; seed < 20; ++seed) {
    const Program plain = chain(seed, fake.target());
    for (const size_t resident : {size_t{0}, plain.memory.weights / 3}) {
      const Program streamed = stream_weights(plain, {0, resident, kAlign});
      Simulation(streamed, plain).run(3);
      EXPECT_EQ(streamed.memory.stream, 0u);
      EXPECT_GT(streamed.segments.size(), 10u);
      EXPECT_LT(streamed.memory.arena, plain.memory.arena + 3 * least_stream(plain, kAlign));
      std::vector<Placed> all = streamed.values;
      for (const Step& step : streamed.steps) {
        const auto is_it = [&](const Placed& v) {
          return v.offset == step.workspace.offset && v.lifetime.bytes == step.workspace.bytes &&
                 v.lifetime.first == static_cast<uint32_t>(&step - streamed.steps.data());
        };
        EXPECT_TRUE(std::any_of(streamed.values.begin(), streamed.values.end(), is_it));
      }
      for (const Segment& g : streamed.segments) {
        const uint32_t part = g.first >= plain.prologue ? plain.prologue : 0;
        all.push_back({g.offset, {g.bytes, g.on_entry() ? part : g.after + 1, g.last}});
      }
      for (size_t i = 0; i < all.size(); ++i)
        for (size_t k = 0; k < i; ++k) {
          const Lifetime &x = all[i].lifetime, &y = all[k].lifetime;
          const bool together = x.first <= y.last && y.first <= x.last;
          const bool apart = all[i].offset + x.bytes <= all[k].offset || all[k].offset + y.bytes <= all[i].offset;
          EXPECT_TRUE(!together || apart) << i << " and " << k;
        }
    }
  }
}

TEST_F(LowerTest, WhatFitsSideBySideIsCopiedOnce) {
  const Program plain = chain(1, fake.target());
  const Program streamed = stream_weights(plain, {8 * plain.memory.weights, 0, kAlign});
  for (const Segment& g : streamed.segments) EXPECT_EQ(g.after, Segment::kOnEntry);
  Simulation simulation(streamed, plain);
  simulation.run(3);
  EXPECT_EQ(simulation.copies(), streamed.segments.size());
  EXPECT_EQ(streamed.memory.weights, 0u);
}

TEST_F(LowerTest, CopiesRunAheadIntoTheNextRun) {
  const Program plain = chain(2, fake.target());
  const Program streamed = stream_weights(plain, {4 * least_stream(plain, kAlign), 0, kAlign});
  bool wraps = false;
  for (const Segment& g : streamed.segments)
    wraps = wraps || (g.first >= streamed.prologue && g.after != Segment::kOnEntry && g.after >= g.first);
  EXPECT_TRUE(wraps);
  EXPECT_NE(dump(streamed, fake.target()).find("stream: "), std::string::npos);
}

TEST_F(LowerTest, ResidentParametersAreSpreadOverTheBody) {
  const Program plain = chain(3, fake.target());
  const Program half = stream_weights(plain, {plain.memory.weights, plain.memory.weights / 2, kAlign});
  size_t front = 0;
  for (const WeightSlot& slot : half.weights)
    if (slot.segment == WeightSlot::kResident && slot.step < plain.prologue + (plain.steps.size() - plain.prologue) / 2)
      front += slot.bytes;
  EXPECT_GT(half.memory.weights, plain.memory.weights / 3);
  EXPECT_GT(front, half.memory.weights / 4);
  EXPECT_LT(front, half.memory.weights * 3 / 4);
}

}  // namespace
}  // namespace tempera
