// The rows of the kernel table for Attention, and the order of work in the flash kernel. Heads are processed in waves.
// All threads pack the heads of a wave. Then blocks of queries are divided evenly among them.
#include "backend/cpu/kernels/attention.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <optional>
#include <string>

#include "backend/cpu/amx.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/launch.h"
#include "base/parallel.h"

namespace tempera {
namespace {

constexpr size_t kAlignment = 64;

int64_t round_up(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

// Keys per block: K of a block has 64 KiB, so that K, V and the queries fit in the second-level cache, within the
// limits of the instruction set.
int64_t choose_key_block(const AttentionShape& shape, const FlashIsa& isa) {
  const auto row = static_cast<uint64_t>(shape.dim) * isa.packed_bytes;
  const auto fits = static_cast<int64_t>(std::bit_floor(std::max<uint64_t>(1, 65536 / row)));
  return std::min(std::clamp(fits, isa.least_keys, isa.most_keys),
                  round_up(shape.keys, std::max(isa.key_columns, isa.key_step)));
}

// Queries per block: so many that reading K and V from the outer cache is cheap compared with the arithmetic, so few
// that queries and sums stay in the second-level cache, and at least four blocks for every thread.
int64_t choose_query_block(const AttentionShape& shape, const FlashIsa& isa, int64_t wave, int threads) {
  const int64_t most = std::clamp<int64_t>(8192 / shape.dim, 48, 192);
  const int64_t wanted = (int64_t{4} * threads + wave - 1) / wave;
  const int64_t blocks = std::max((shape.queries + most - 1) / most, wanted);
  return round_up((shape.queries + blocks - 1) / blocks, isa.query_rows);
}

FlashScratch lay_out_scratch(const FlashPlan& plan) {
  FlashScratch at;
  const auto take = [&at](int64_t elements, size_t element_bytes) {
    const size_t offset = at.bytes;
    at.bytes += (static_cast<size_t>(elements) * element_bytes + kAlignment - 1) / kAlignment * kAlignment;
    return offset;
  };
  at.queries = take(plan.query_block * plan.shape.dim, plan.isa->packed_bytes);
  at.out = take(plan.query_block * plan.value_columns, sizeof(float));
  at.sums = take(plan.query_block * plan.isa->lanes, sizeof(float));
  at.maxima = take(plan.query_block, sizeof(float));
  at.scores = take(plan.isa->query_rows * plan.key_block, sizeof(float));
  return at;
}

std::optional<std::string> refuse_flash(const Problem& problem) {
  if (auto reason = refuse_other_than_f32_bf16(problem)) return reason;
  for (const TensorDesc& d : problem.inputs)
    if (d.dtype != problem.output.dtype) return "needs one type throughout";
  const AttentionShape shape = attention_shape(problem);
  if (shape.dim % 8 != 0) return "needs heads a multiple of 8 wide";
  if (shape.scale < 0) return "needs a scale that is not negative";
  return std::nullopt;
}

std::optional<std::string> refuse_tiles(const Problem& problem) {
  if (!has_amx()) return "needs AMX, which this machine does not have or does not grant";
  if (auto reason = refuse_flash(problem)) return reason;
  if (problem.output.dtype != DType::bf16) return "takes bf16 only";
  if (attention_shape(problem).dim % 32 != 0) return "needs heads a multiple of 32 wide";
  return std::nullopt;
}

std::optional<std::string> refuse_naive(const Problem& problem) {
  if (auto reason = refuse_other_than_f32_bf16(problem)) return reason;
  for (const TensorDesc& d : problem.inputs)
    if (d.dtype != problem.output.dtype) return "needs one type throughout";
  return std::nullopt;
}

using ChooseIsa = const FlashIsa& (*)(const AttentionShape&);

Kernel flash_kernel(std::string_view name, std::optional<std::string> (*refuse)(const Problem&), ChooseIsa isa) {
  const auto plan = [isa](const Problem& problem) {
    const AttentionShape shape = attention_shape(problem);
    return plan_flash(shape, isa(shape), thread_count());
  };
  KernelInfo info{.name = name, .op = OpKind::attention, .tolerance_f32 = 1e-5, .tolerance_half = 1e-2};
  info.refuse = refuse;
  info.workspace = [plan](const Problem& problem) { return plan(problem).workspace(); };
  return {info,
          [plan](const Problem& problem, const Binding& at) -> Launch {
            return [plan = plan(problem), at](Queue&) { run_flash(plan, at); };
          },
          {}};
}

}  // namespace

AttentionShape attention_shape(const Problem& problem) {
  const auto& op = std::get<Attention>(problem.op);
  const Shape& q = problem.inputs[0].shape;
  const Shape& kv = problem.inputs.back().shape;
  const int64_t channels = problem.output.shape[2];
  AttentionShape s;
  s.pictures = q[0];
  s.heads = op.heads;
  s.queries = q[1];
  s.keys = kv[1];
  s.dim = channels / op.heads;
  s.scale = op.scale;
  s.causal = op.causal;
  s.dtype = problem.output.dtype;
  s.q_stride = q[2];
  s.kv_stride = kv[2];
  s.out_stride = channels;
  switch (op.packing) {
    case Attention::Packing::separate:
      s.k_input = 1;
      s.v_input = 2;
      break;
    case Attention::Packing::qkv:
      s.k_offset = channels;
      s.v_offset = 2 * channels;
      break;
    case Attention::Packing::q_kv:
      s.k_input = s.v_input = 1;
      s.v_offset = channels;
      break;
  }
  return s;
}

AttentionHead attention_head(const AttentionShape& s, const Binding& at, int64_t pair) {
  const int64_t picture = pair / s.heads, channel = pair % s.heads * s.dim;
  const auto bytes = [&](int64_t elements) {
    return static_cast<ptrdiff_t>(elements) * static_cast<ptrdiff_t>(size_of(s.dtype));
  };
  return {at.inputs[0] + bytes(picture * s.queries * s.q_stride + channel),
          at.inputs[static_cast<size_t>(s.k_input)] + bytes(picture * s.keys * s.kv_stride + s.k_offset + channel),
          at.inputs[static_cast<size_t>(s.v_input)] + bytes(picture * s.keys * s.kv_stride + s.v_offset + channel),
          at.output + bytes(picture * s.queries * s.out_stride + channel)};
}

bool has_bf16_products() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

const FlashIsa& flash_isa(const AttentionShape& shape) {
  constexpr int64_t kManyKeys = 256;
  const bool pairs = shape.dtype == DType::bf16 && shape.keys >= kManyKeys && has_bf16_products();
  return pairs ? flash_isa_pairs() : flash_isa_f32();
}

FlashPlan plan_flash(const AttentionShape& shape, const FlashIsa& isa, int threads) {
  FlashPlan plan;
  plan.shape = shape;
  plan.isa = &isa;
  plan.threads = threads;
  plan.key_block = choose_key_block(shape, isa);
  plan.value_columns = round_up(shape.dim, isa.lanes);
  const int64_t elements = plan.padded_keys(shape.keys) * (shape.dim + plan.value_columns);
  plan.head_bytes = static_cast<size_t>(round_up(elements * static_cast<int64_t>(isa.packed_bytes), kAlignment));
  // 32 MiB of packed heads at a time. With more heads the shares of the threads are more even, but the memory is
  // larger.
  const auto most = std::max<int64_t>(1, static_cast<int64_t>((size_t{32} << 20) / plan.head_bytes));
  const int64_t waves = (shape.pairs() + most - 1) / most;
  plan.wave = (shape.pairs() + waves - 1) / waves;
  plan.query_block = choose_query_block(shape, isa, plan.wave, threads);
  plan.scratch = lay_out_scratch(plan);
  return plan;
}

void run_flash(const FlashPlan& plan, const Binding& at) {
  std::byte* const scratch = at.workspace + static_cast<size_t>(plan.wave) * plan.head_bytes;
  for (int64_t first = 0; first < plan.shape.pairs(); first += plan.wave) {
    const int64_t heads = std::min(plan.wave, plan.shape.pairs() - first);
    const auto packed = [&](int64_t head) { return at.workspace + static_cast<size_t>(head) * plan.head_bytes; };
    parallel_ranges(heads * plan.key_blocks(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t head = i / plan.key_blocks();
        plan.isa->pack(plan, attention_head(plan.shape, at, first + head), i % plan.key_blocks(), packed(head));
      }
    });
    const auto attend = [&](int thread, int team) {
      // Scratch memory is planned for a number of threads. In a larger team, the other threads are idle.
      team = std::min(team, plan.threads);
      if (thread >= team) return;
      const int64_t blocks = heads * plan.query_blocks();
      for (int64_t i = blocks * thread / team; i < blocks * (thread + 1) / team; ++i) {
        const int64_t head = i / plan.query_blocks(), row = i % plan.query_blocks() * plan.query_block;
        plan.isa->attend(plan, attention_head(plan.shape, at, first + head), packed(head), row,
                         std::min(plan.query_block, plan.shape.queries - row),
                         scratch + static_cast<size_t>(thread) * plan.scratch.bytes);
      }
    };
    parallel_region(std::cref(attend));
  }
}

void add_attention_kernels(std::vector<Kernel>& table) {
  table.push_back(flash_kernel("attention/amx", refuse_tiles,
                               [](const AttentionShape&) -> const FlashIsa& { return flash_isa_tiles(); }));
  table.push_back(flash_kernel("attention/flash", refuse_flash, flash_isa));
  KernelInfo naive{.name = "attention/naive", .op = OpKind::attention, .tolerance_f32 = 1e-5, .tolerance_half = 1e-2};
  naive.refuse = refuse_naive;
  naive.workspace = [](const Problem& problem) { return naive_attention_workspace(attention_shape(problem)); };
  table.push_back({naive,
                   [](const Problem& problem, const Binding& at) -> Launch {
                     return [shape = attention_shape(problem), at](Queue&) { run_naive_attention(shape, at); };
                   },
                   {}});
}

}  // namespace tempera
