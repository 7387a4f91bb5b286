#include "adapters/adapter_parts.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/half.h"

namespace tempera {
namespace {

constexpr std::string_view kRemedy = "the adapter is incomplete or was edited, get it again";

// What a part is, and the numbers of dimensions that it can have. A convolution has one or two more than a matrix.
struct Part {
  std::string_view name, family;  // an empty family: for several formulas
  bool required = false;          // the formula has no variant without it
  size_t least_dims = 2, most_dims = 5;
};
constexpr std::string_view kLora = "LoRA", kLoha = "LoHa", kLokr = "LoKr", kGlora = "GLoRA", kIa3 = "IA3", kOft = "OFT",
                           kFull = "full";
constexpr std::array kParts = {
    Part{"lora_down", kLora, true},
    Part{"lora_up", kLora, true},
    Part{"lora_mid", kLora, false, 3, 5},
    Part{"hada_w1_a", kLoha, true},
    Part{"hada_w1_b", kLoha, true},
    Part{"hada_w2_a", kLoha, true},
    Part{"hada_w2_b", kLoha, true},
    Part{"hada_t1", kLoha, false, 3, 5},
    Part{"hada_t2", kLoha, false, 3, 5},
    Part{"lokr_w1", kLokr},
    Part{"lokr_w1_a", kLokr},
    Part{"lokr_w1_b", kLokr},
    Part{"lokr_w2", kLokr},
    Part{"lokr_w2_a", kLokr},
    Part{"lokr_w2_b", kLokr},
    Part{"lokr_t2", kLokr, false, 3, 5},
    Part{"a1", kGlora, true},
    Part{"a2", kGlora, true},
    Part{"b1", kGlora, true},
    Part{"b2", kGlora, true},
    Part{"weight", kIa3, true, 1},
    Part{"on_input", kIa3, true, 0},
    Part{"oft_blocks", kOft, false, 3, 4},
    Part{"oft_diag", kOft, false, 3, 4},
    Part{"rescale", kOft, false, 1},
    Part{"diff", kFull, true, 1},
    Part{"alpha", "", false, 0},
    Part{"scale", "", false, 0},
    Part{"dora_scale", "", false, 1},
};

const Part& row_of(std::string_view part) {
  const auto at = std::ranges::find(kParts, part, &Part::name);
  TEMPERA_ASSERT(at != kParts.end());
  return *at;
}

class Parts {
 public:
  explicit Parts(const AdapterLayer& layer) : layer_(layer) {}

  bool has(std::string_view part) const { return layer_.parts.contains(part); }
  int64_t dim(std::string_view part, size_t index) const { return layer_.parts.find(part)->second.dims[index]; }

  // Empty: the parts are those of no formula.
  std::string_view family() const {
    std::string_view family;
    for (const auto& [name, tensor] : layer_.parts) {
      const Part& row = row_of(name);
      if (row.family.empty()) continue;
      if (!family.empty() && row.family != family) {
        fail(ErrorCode::bad_file, "the tensor {} is of an adapter with parts of two formulas ({}, {}) for {}: {}",
             layer_.origin, family, row.family, in_quotes(layer_.parameter.name), kRemedy);
      }
      family = row.family;
    }
    return family;
  }

  void require(std::string_view part) const {
    if (has(part)) return;
    fail(ErrorCode::bad_file, "the tensor {} has no partner: {} of {} is missing; {}", layer_.origin, part,
         in_quotes(layer_.parameter.name), kRemedy);
  }
  // Both or none.
  void pair(std::string_view a, std::string_view b) const {
    if (has(a)) require(b);
    if (has(b)) require(a);
  }
  // Whole or as a product of two.
  void one_of(std::string_view whole, std::string_view a, std::string_view b) const {
    pair(a, b);
    if (!has(a)) require(whole);
    if (has(a)) exclude(whole, a);
  }
  void exclude(std::string_view part, std::string_view other) const {
    if (!has(part) || !has(other)) return;
    fail(ErrorCode::bad_file, "the tensor {} is of an adapter with both {} and {} for {}: {}", layer_.origin, part,
         other, in_quotes(layer_.parameter.name), kRemedy);
  }

 private:
  const AdapterLayer& layer_;
};

void check_set(const Parts& parts, std::string_view family) {
  for (const Part& row : kParts)
    if (row.family == family && row.required) parts.require(row.name);
  if (family == kLoha) parts.pair("hada_t1", "hada_t2");
  if (family == kOft) {
    parts.exclude("oft_blocks", "oft_diag");
    if (!parts.has("oft_diag")) parts.require("oft_blocks");
  }
  if (family != kLokr) return;
  parts.one_of("lokr_w1", "lokr_w1_a", "lokr_w1_b");
  parts.one_of("lokr_w2", "lokr_w2_a", "lokr_w2_b");
  if (parts.has("lokr_t2")) parts.require("lokr_w2_a");
}

int64_t rank_of(const Parts& parts, std::string_view family) {
  if (family == kLora) return parts.dim("lora_down", 0);
  if (family == kLoha) return parts.dim("hada_w1_b", 0);
  // Of GLoRA's factors, LyCORIS stored the transposes before version 2.
  if (family == kGlora) return std::min(parts.dim("a1", 0), parts.dim("a1", 1));
  for (const std::string_view factor : {"lokr_w2_b", "lokr_w1_b"})
    if (parts.has(factor)) return parts.dim(factor, 0);
  return 0;
}

}  // namespace

void check_adapter_part(std::string_view part, const CheckpointTensor& tensor, std::string_view origin) {
  const Part& row = row_of(part);
  const bool is_number = part == "alpha" || part == "scale" || part == "on_input";
  if (std::ranges::any_of(tensor.dims, [](int64_t dim) { return dim <= 0; }) || (is_number && tensor.elements() != 1)) {
    fail(ErrorCode::bad_file, "the tensor {} has the shape {}, {}: {}", origin, dims_to_string(tensor.dims),
         is_number ? "must be one number" : "which has no elements", kRemedy);
  }
  if (tensor.dims.size() < row.least_dims || tensor.dims.size() > row.most_dims) {
    fail(ErrorCode::bad_file, "the tensor {} has the shape {}, but {} has {} to {} dimensions: {}", origin,
         dims_to_string(tensor.dims), part, row.least_dims, row.most_dims, kRemedy);
  }
  if (part == "on_input") return;  // a bool
  if (!can_convert(tensor.dtype)) {
    fail(ErrorCode::bad_file, "the tensor {} is of type {}, must be floating-point numbers: {}", origin,
         name(tensor.dtype), kRemedy);
  }
  if (is_number && !std::isfinite(tensor.floats()[0])) {
    fail(ErrorCode::bad_file, "the tensor {} is {}, must be a finite number: {}", origin, tensor.floats()[0], kRemedy);
  }
}

std::optional<AdapterFormula> adapter_formula(const AdapterLayer& layer) {
  const Parts parts(layer);
  const std::string_view family = parts.family();
  const bool is_dora = parts.has("dora_scale");
  if (family.empty()) {
    if (is_dora) parts.require("lora_down");
    return std::nullopt;
  }
  check_set(parts, family);
  const bool is_convolution = layer.parameter.dims.size() > 2;
  const std::string_view kind = is_dora ? "DoRA" : family == kLora && is_convolution ? "LoCon" : family;
  return AdapterFormula{kind, rank_of(parts, family)};
}

}  // namespace tempera
