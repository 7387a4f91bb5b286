// The shared part of the attention kernels: an Attention op with its packing resolved to rows of heads, and the plan of
// the flash kernels. Instruction sets differ in two functions and a few numbers (FlashIsa). The plan decides the order
// of blocks and the layout of memory for all of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend/backend.h"

namespace tempera {

// softmax(scale q k^T) v for `heads` heads of `dim` channels; strides and offsets in elements of dtype.
struct AttentionShape {
  int64_t pictures = 1, heads = 1, queries = 1, keys = 1, dim = 1;
  float scale = 1;
  bool causal = false;  // query t uses keys [0, t]
  DType dtype = DType::f32;
  int64_t q_stride = 0, kv_stride = 0, out_stride = 0;  // from row to row
  int64_t k_offset = 0, v_offset = 0;                   // of head 0 in a row of its input
  int k_input = 0, v_input = 0;                         // the inputs of the op that contain k and v; q is input 0

  int64_t pairs() const { return pictures * heads; }
};

AttentionShape attention_shape(const Problem& problem);

// The first rows of one head of one picture.
struct AttentionHead {
  const std::byte *q = nullptr, *k = nullptr, *v = nullptr;
  std::byte* out = nullptr;
};

// The head of pair `pair` = picture * heads + head.
AttentionHead attention_head(const AttentionShape& shape, const Binding& at, int64_t pair);

struct FlashPlan;

// How one instruction set computes attention. K and V are repacked once per head, one block of keys after the other. A
// block has panels of K (dim deep, key_columns keys wide), then panels of V (keys deep, as many channels wide).
struct FlashIsa {
  const char* name;
  int64_t query_rows;             // queries that are computed together
  int64_t key_columns;            // keys and channels in a panel
  int64_t key_step;               // the keys of the last block are padded to a multiple of it
  int64_t lanes;                  // f32 in a vector; channels are padded to it
  size_t packed_bytes;            // per number of packed k and v
  int64_t least_keys, most_keys;  // in a block
  // Packs block `block` of k and v to its place in `packed`, which holds the whole head.
  void (*pack)(const FlashPlan& plan, const AttentionHead& head, int64_t block, std::byte* packed);
  // Computes `rows` queries, the first of which is `first`.
  void (*attend)(const FlashPlan& plan, const AttentionHead& head, const std::byte* packed, int64_t first, int64_t rows,
                 std::byte* scratch);
};

// Products of f32, over f32 or bf16 storage, on the best instruction set of this machine.
const FlashIsa& flash_isa_f32();
// Products of bf16 pairs summed in f32, for bf16 storage: the instructions of AVX-512 BF16. If the best set is another
// one, plain code with the same result (for tests: slower than f32). Must not run on AVX-512 without BF16.
const FlashIsa& flash_isa_pairs();
// Products of bf16 in AMX's tiles, for heads with a multiple of 32 channels. If the best set is not AVX-512, plain code
// with the same result (for tests: much slower). Must not run on AVX-512 without has_amx().
const FlashIsa& flash_isa_tiles();
// Whether this processor has the instructions for pairs.
bool has_bf16_products();
// The products of attention/flash: pairs for bf16 with many keys. Over few keys (the 77 of a prompt) the rounding of
// probabilities does not average out, and f32 is cheap.
const FlashIsa& flash_isa(const AttentionShape& shape);

// The parts of one thread's scratch memory, in bytes.
struct FlashScratch {
  size_t queries = 0;  // query_block x dim, in the type of packed k and v
  size_t out = 0;      // query_block x value_columns f32: unnormalised sums
  size_t sums = 0;     // query_block x lanes f32: softmax denominators, lane by lane
  size_t maxima = 0;   // query_block f32
  size_t scores = 0;   // query_rows x key_block f32
  size_t bytes = 0;
};

struct FlashPlan {
  AttentionShape shape;
  const FlashIsa* isa = nullptr;
  int threads = 1;
  int64_t key_block = 0, query_block = 0;
  int64_t value_columns = 0;  // dim, padded
  int64_t wave = 1;           // heads that are packed and computed together
  size_t head_bytes = 0;      // of packed k and v of one head
  FlashScratch scratch;

  int64_t key_blocks() const { return (shape.keys + key_block - 1) / key_block; }
  int64_t query_blocks() const { return (shape.queries + query_block - 1) / query_block; }
  int64_t padded_keys(int64_t keys) const { return (keys + isa->key_step - 1) / isa->key_step * isa->key_step; }
  // Keys of a block, without padding and with padding.
  int64_t block_keys(int64_t block) const { return std::min(key_block, shape.keys - block * key_block); }
  int64_t block_columns(int64_t block) const { return padded_keys(block_keys(block)); }
  // Elements before a block in a packed head; offset of its K, then of its V.
  int64_t block_offset(int64_t block) const { return block * key_block * (shape.dim + value_columns); }
  size_t workspace() const {
    return static_cast<size_t>(wave) * head_bytes + static_cast<size_t>(threads) * scratch.bytes;
  }
};

FlashPlan plan_flash(const AttentionShape& shape, const FlashIsa& isa, int threads);

// Runs the plan. at.workspace must have plan.workspace() bytes.
void run_flash(const FlashPlan& plan, const Binding& at);

// attention/naive, with the whole score matrix in memory: its bytes, and the run.
size_t naive_attention_workspace(const AttentionShape& shape);
void run_naive_attention(const AttentionShape& shape, const Binding& at);

}  // namespace tempera
