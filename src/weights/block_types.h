// The quantised types of ggml, as GGUF files store them: a block has scales and the small numbers that they multiply.
// Layouts: ggml-common.h and ggml-quants.c of ggml-org/ggml, and quants.py of its package gguf.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "weights/checkpoint.h"

namespace tempera {

// By the number of the type in files: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K. nullptr for others.
const BlockType* ggml_block_type(uint32_t number);

// The number of one of these types.
uint32_t ggml_number(const BlockType& type);

// By name, "Q4_K". Throws Error(internal) for a name without a type.
const BlockType& block_type(std::string_view name);

// Blocks in memory, at any address. Only the blocks of the requested elements are decoded, one at a time on the stack.
class BlockElements final : public ElementReader {
 public:
  using Release = StoredElements::Release;

  // `bytes`: whole blocks. `owner` keeps them alive; `release` receives the bytes that done() names.
  BlockElements(const BlockType& type, std::span<const std::byte> bytes, std::shared_ptr<const void> owner = {},
                Release release = {});

  void read_block(const ElementBlock& block, DType to, std::byte* destination, size_t pitch) const override;
  void done(size_t first, size_t n) const noexcept override;

 private:
  void read_run(size_t first, size_t n, DType to, std::byte* destination) const;

  const BlockType& type_;
  std::span<const std::byte> bytes_;
  std::shared_ptr<const void> owner_;
  Release release_;
};

}  // namespace tempera
