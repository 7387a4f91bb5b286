// The attention kernels against plain loops in double, on every instruction set of this machine: uneven sizes,
// packings, causal masks, scores that overflow a naive exponential, exact workspace, and results that do not depend on
// the number of threads.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "backend/cpu/amx.h"
#include "backend/cpu/kernels/attention.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/targets.h"
#include "backend/host_backend.h"
#include "base/half.h"
#include "base/parallel.h"
#include "hwy/highway.h"

namespace tempera {
namespace {

using Packing = Attention::Packing;

struct Case {
  int64_t pictures, heads, queries, keys, dim;
  bool causal = false;
  Packing packing = Packing::separate;
  float spread = 1;  // of q and k
};

// Sizes: SDXL's (shortened), the tiny models', ones, primes, remainders of every block and panel.
constexpr Case kCases[] = {
    {1, 1, 1, 1, 8},
    {1, 1, 2, 3, 16},
    {2, 3, 13, 17, 24, false, Packing::q_kv},
    {1, 2, 77, 77, 64, true, Packing::separate},
    {2, 2, 37, 37, 80, true, Packing::qkv},
    {1, 1, 331, 331, 32, true, Packing::qkv},
    {2, 5, 256, 77, 64, false, Packing::q_kv},
    {1, 2, 300, 1031, 64, false, Packing::separate},
    {1, 1, 67, 1100, 8, false, Packing::separate},
    {1, 1, 61, 200, 40, false, Packing::q_kv},
    {1, 1, 50, 263, 512, false, Packing::qkv},
    {1, 1, 199, 257, 72, false, Packing::separate},
    {1, 2, 40, 530, 64, false, Packing::separate, 30},  // scores up to several hundreds
};

std::string to_string(const Case& c) {
  return fmt::format("{}x{} heads of {}, {} queries, {} keys{}, packing {}", c.pictures, c.heads, c.dim, c.queries,
                     c.keys, c.causal ? ", causal" : "", static_cast<int>(c.packing));
}

// Bytes with guards on both sides. The guards must be unchanged at the end.
class GuardedBytes {
 public:
  explicit GuardedBytes(size_t size) : size_(size), bytes_(size + 3 * kGuard, kMark) {
    const size_t misaligned = reinterpret_cast<uintptr_t>(bytes_.data()) % kGuard;
    begin_ = kGuard + (kGuard - misaligned) % kGuard;
  }
  std::byte* data() { return bytes_.data() + begin_; }
  bool intact() const {
    const auto marked = [&](size_t from, size_t to) {
      return std::all_of(bytes_.begin() + static_cast<ptrdiff_t>(from), bytes_.begin() + static_cast<ptrdiff_t>(to),
                         [](std::byte b) { return b == kMark; });
    };
    return marked(0, begin_) && marked(begin_ + size_, bytes_.size());
  }

 private:
  static constexpr size_t kGuard = 64;
  static constexpr std::byte kMark{0xa5};
  size_t size_, begin_ = 0;
  std::vector<std::byte> bytes_;
};

// A problem with its data. Values are rounded to dtype, so the reference and the kernel read the same numbers.
struct Fixture {
  Fixture(const Case& c, DType dtype) {
    const int64_t channels = c.heads * c.dim;
    const auto desc = [&](int64_t rows, int64_t parts) {
      return TensorDesc{dtype, Shape{c.pictures, rows, parts * channels}};
    };
    problem.op = Attention{static_cast<int>(c.heads), 1.0f / std::sqrt(static_cast<float>(c.dim)), c.causal, c.packing};
    if (c.packing == Packing::separate) problem.inputs = {desc(c.queries, 1), desc(c.keys, 1), desc(c.keys, 1)};
    if (c.packing == Packing::qkv) problem.inputs = {desc(c.queries, 3)};
    if (c.packing == Packing::q_kv) problem.inputs = {desc(c.queries, 1), desc(c.keys, 2)};
    problem.output = desc(c.queries, 1);
    std::mt19937 random(7);
    std::normal_distribution<float> normal(0, c.spread);
    for (const TensorDesc& d : problem.inputs) {
      const auto n = static_cast<size_t>(d.shape.elements());
      values.emplace_back(n);
      for (float& v : values.back()) v = normal(random);
      bytes.emplace_back(d.bytes());
      convert(values.back().data(), DType::f32, bytes.back().data(), dtype, n);
      convert(bytes.back().data(), dtype, values.back().data(), DType::f32, n);
    }
  }

  Problem problem;
  std::vector<std::vector<float>> values;
  std::vector<GuardedBytes> bytes;
};

std::vector<double> reference(const Fixture& f) {
  const AttentionShape s = attention_shape(f.problem);
  std::vector<double> out(static_cast<size_t>(f.problem.output.shape.elements()));
  const float* q = f.values[0].data();
  const float* k = f.values[static_cast<size_t>(s.k_input)].data() + s.k_offset;
  const float* v = f.values[static_cast<size_t>(s.v_input)].data() + s.v_offset;
  std::vector<double> p(static_cast<size_t>(s.keys));
  for (int64_t n = 0; n < s.pictures; ++n)
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t t = 0; t < s.queries; ++t) {
        const auto visible = static_cast<size_t>(s.causal ? std::min(t + 1, s.keys) : s.keys);
        double max = -INFINITY, sum = 0;
        for (size_t j = 0; j < visible; ++j) {
          p[j] = 0;
          for (int64_t i = 0; i < s.dim; ++i)
            p[j] += static_cast<double>(q[(n * s.queries + t) * s.q_stride + h * s.dim + i]) *
                    k[(n * s.keys + static_cast<int64_t>(j)) * s.kv_stride + h * s.dim + i];
          p[j] *= s.scale;
          max = std::max(max, p[j]);
        }
        for (size_t j = 0; j < visible; ++j) sum += p[j] = std::exp(p[j] - max);
        for (int64_t i = 0; i < s.dim; ++i) {
          double total = 0;
          for (size_t j = 0; j < visible; ++j)
            total += p[j] / sum * v[(n * s.keys + static_cast<int64_t>(j)) * s.kv_stride + h * s.dim + i];
          out[static_cast<size_t>((n * s.queries + t) * s.out_stride + h * s.dim + i)] = total;
        }
      }
  return out;
}

// ||result - expected|| / ||expected||
double relative_error(const std::vector<float>& result, const std::vector<double>& expected) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += (result[i] - expected[i]) * (result[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(difference / norm);
}

// Runs a kernel between guards and returns its output as f32.
template <class Run>
std::vector<float> run_guarded(Fixture& f, size_t workspace_bytes, const Run& run) {
  GuardedBytes out(f.problem.output.bytes()), workspace(workspace_bytes);
  Binding at;
  for (GuardedBytes& b : f.bytes) at.inputs.push_back(b.data());
  at.output = out.data();
  at.workspace = workspace.data();
  run(at);
  EXPECT_TRUE(out.intact()) << "wrote beside the output";
  EXPECT_TRUE(workspace.intact()) << "wrote beside the workspace";
  for (const GuardedBytes& b : f.bytes) EXPECT_TRUE(b.intact()) << "wrote beside an input";
  std::vector<float> result(static_cast<size_t>(f.problem.output.shape.elements()));
  convert(out.data(), f.problem.output.dtype, result.data(), DType::f32, result.size());
  return result;
}

std::vector<float> flash(Fixture& f, const FlashIsa& isa, int threads) {
  const FlashPlan plan = plan_flash(attention_shape(f.problem), isa, threads);
  return run_guarded(f, plan.workspace(), [&](const Binding& at) { run_flash(plan, at); });
}

// The instruction sets of this machine, one after the other, in Highway's dispatch.
template <class Body>
void on_every_target(const Body& body) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::GetChosenTarget().Update(target);
    SCOPED_TRACE(hwy::TargetName(target));
    body();
  }
  hwy::GetChosenTarget().DeInit();
}

TEST(Attention, FlashMatchesPlainLoopsOnEveryInstructionSet) {
  on_every_target([&] {
    for (const DType dtype : {DType::f32, DType::bf16})
      for (const Case& c : kCases) {
        SCOPED_TRACE(to_string(c));
        Fixture f(c, dtype);
        const double error = relative_error(flash(f, flash_isa_f32(), 2), reference(f));
        // The rounding errors of large scores are amplified by the exponential.
        EXPECT_LE(error, dtype == DType::bf16 ? 4e-3 : c.spread > 1 ? 1e-4 : 2e-6);
      }
    std::cout << "ran attention/flash with f32 products on " << flash_isa_f32().name << '\n';
  });
}

TEST(Attention, FlashOfPairsMatchesPlainLoopsOnEveryInstructionSet) {
  on_every_target([&] {
    const FlashIsa& isa = flash_isa_pairs();
    const bool wide = isa.lanes >= 16;
    if (wide && !has_bf16_products()) return;
    for (const Case& c : kCases) {
      SCOPED_TRACE(to_string(c));
      Fixture f(c, DType::bf16);
      // Rounded twice: probabilities and result.
      EXPECT_LE(relative_error(flash(f, isa, 2), reference(f)), 6e-3);
    }
    std::cout << "ran attention/flash with bf16 products on " << isa.name << (wide ? " BF16" : " (spelled out)")
              << '\n';
  });
}

TEST(Attention, TilesMatchPlainLoopsOnEveryInstructionSet) {
  constexpr Case kTileCases[] = {
      {1, 1, 1, 1, 32},
      {1, 2, 77, 77, 64, true, Packing::separate},
      {2, 2, 37, 37, 96, true, Packing::qkv},
      {1, 1, 331, 331, 32, true, Packing::qkv},
      {2, 5, 256, 77, 64, false, Packing::q_kv},
      {1, 2, 300, 1031, 64, false, Packing::separate},
      {1, 1, 64, 1024, 64, false, Packing::qkv},
      {1, 1, 50, 263, 512, false, Packing::qkv},
      {1, 1, 199, 257, 128, false, Packing::separate},
      {1, 2, 40, 530, 64, false, Packing::separate, 30},
  };
  on_every_target([&] {
    const FlashIsa& isa = flash_isa_tiles();
    const bool wide = isa.lanes >= 16;
    if (wide && !has_amx()) return;
    for (const Case& c : kTileCases) {
      SCOPED_TRACE(to_string(c));
      Fixture f(c, DType::bf16);
      EXPECT_LE(relative_error(flash(f, isa, 2), reference(f)), 6e-3);
    }
    std::cout << "ran attention/amx on " << isa.name << (wide ? "" : " (spelled out)") << '\n';
  });
}

TEST(Attention, FlashDoesNotDependOnThreads) {
  Fixture f({1, 3, 500, 700, 64}, DType::f32);
  const auto flash_on = [&](int threads, int planned) {
    const ThreadScope scope(threads);
    return flash(f, flash_isa_f32(), planned);
  };
  const std::vector<float> one = flash_on(1, 1), three = flash_on(3, 3);
  // A plan for fewer threads than the team has.
  const std::vector<float> two = flash_on(3, 2);
  EXPECT_EQ(one, three);
  EXPECT_EQ(one, two);
}

TEST(Attention, FlashPacksHeadsInWavesOfBoundedSize) {
  const Fixture large({2, 12, 3, 3001, 64}, DType::f32);  // 1.5 MiB packed each
  FlashPlan plan = plan_flash(attention_shape(large.problem), flash_isa_f32(), 2);
  EXPECT_LT(plan.wave, plan.shape.pairs());
  EXPECT_LE(static_cast<size_t>(plan.wave) * plan.head_bytes, size_t{32} << 20);

  Fixture small({1, 5, 30, 40, 16}, DType::f32);
  plan = plan_flash(attention_shape(small.problem), flash_isa_f32(), 2);
  plan.wave = 2;
  const auto result = run_guarded(small, plan.workspace(), [&](const Binding& at) { run_flash(plan, at); });
  EXPECT_EQ(result, flash(small, flash_isa_f32(), 2));
}

TEST(Attention, EveryRowOfTheTableMatchesPlainLoops) {
  std::vector<Kernel> table;
  add_attention_kernels(table);
  ASSERT_EQ(table.size(), 3u);
  EXPECT_EQ(table[0].info.name, "attention/amx");
  EXPECT_EQ(table[1].info.name, "attention/flash");
  EXPECT_EQ(table[2].info.name, "attention/naive");
  for (const Kernel& kernel : table)
    for (const DType dtype : {DType::f32, DType::bf16})
      for (const Case& c : kCases) {
        SCOPED_TRACE(std::string(kernel.info.name) + ", " + std::string(name(dtype)) + ", " + to_string(c));
        Fixture f(c, dtype);
        const bool runs = &kernel != table.data() || (has_amx() && dtype == DType::bf16 && c.dim % 32 == 0);
        ASSERT_EQ(!kernel.info.refuse(f.problem), runs);
        if (!runs) continue;
        const auto result = run_guarded(f, kernel.info.workspace(f.problem), [&](const Binding& at) {
          HostQueue queue;
          kernel.bind(f.problem, at)(queue);
        });
        const double tolerance = dtype == DType::f32 ? kernel.info.tolerance_f32 : kernel.info.tolerance_half;
        EXPECT_LE(relative_error(result, reference(f)), c.spread > 1 ? 10 * tolerance : tolerance);
      }
}

TEST(Attention, NaiveHoldsAllScoresAndFlashDoesNot) {
  std::vector<Kernel> table;
  add_attention_kernels(table);
  const Fixture f({2, 4, 1024, 1024, 64}, DType::f32);
  EXPECT_EQ(table[2].info.workspace(f.problem), size_t{2} * 4 * 1024 * 1024 * 4);
  for (const Kernel& kernel : {table[0], table[1]}) EXPECT_LT(kernel.info.workspace(f.problem), size_t{8} << 20);
}

TEST(Attention, RefusesWhatItCannotRun) {
  std::vector<Kernel> table;
  add_attention_kernels(table);
  const Fixture odd({1, 2, 5, 5, 12}, DType::f32);
  EXPECT_NE(table[0].info.refuse(odd.problem), std::nullopt);
  EXPECT_NE(table[1].info.refuse(odd.problem), std::nullopt);
  EXPECT_EQ(table[2].info.refuse(odd.problem), std::nullopt);
  const Fixture half({1, 2, 5, 5, 16}, DType::f16);
  for (const Kernel& kernel : table) EXPECT_NE(kernel.info.refuse(half.problem), std::nullopt);
}

TEST(Attention, NaiveTakesHeadsOfAnyWidth) {
  std::vector<Kernel> table;
  add_attention_kernels(table);
  Fixture f({1, 2, 5, 7, 13}, DType::f32);
  const auto result = run_guarded(f, table[2].info.workspace(f.problem), [&](const Binding& at) {
    HostQueue queue;
    table[2].bind(f.problem, at)(queue);
  });
  EXPECT_LE(relative_error(result, reference(f)), 1e-6);
}

}  // namespace
}  // namespace tempera
