// A matrix (out, in kh kw) as a product up . down of two factors of small rank, or of three with a Tucker core between
// them: up . core . down, where the core has the kernel of a convolution. LoRA and LoCon, and the sides of LoHa, LoKr
// and GLoRA.
#pragma once

#include <optional>

#include "adapters/delta.h"
#include "adapters/product.h"

namespace tempera {

// The product with factors in memory, as float32.
class LowRankMatrix {
 public:
  LowRankMatrix(std::vector<float> up, Panels down) : up_(std::move(up)), down_(std::move(down)) {}

  // values(r, c) += factor * product(tile.row + r, tile.column + c)
  void add(const Tile& tile, float factor, float* values, size_t pitch) const;

 private:
  std::vector<float> up_;  // (out, rank)
  Panels down_;            // (rank, in kh kw)
};

// Where the factors are. down: (rank, in kh kw), or with a core (rank, in).
struct LowRankFactors {
  Factor up;  // (out, rank)
  Factor down;
  std::optional<Factor> core;     // (rank of up, rank of down, kh, kw)
  bool up_is_transposed = false;  // up is stored as (rank, out)

  size_t rows() const { return up_is_transposed ? up.shape.columns : up.shape.rows; }
  size_t rank() const { return up_is_transposed ? up.shape.rows : up.shape.columns; }
  LowRankMatrix read() const;
};

// The factors with the given names, checked against each other: up has `rows` rows, and the product has columns for
// inputs times `taps`. `core`: "" for none. LyCORIS stores up as (rank, out) if there is a core, except in LoCon.
LowRankFactors low_rank_factors(LayerParts& parts, std::string_view up, std::string_view down, std::string_view core,
                                MatrixShape product, size_t taps, bool up_is_transposed = false);

// LoRA and LoCon: lora_up . lora_down, or lora_up . lora_mid . lora_down, times the scale.
// Sources: Hu et al., "LoRA" (2021); LyCORIS, modules/locon.py.
std::shared_ptr<const Delta> low_rank_delta(LayerParts& parts);

}  // namespace tempera
