// The problems for checks and measurements of every kernel row: SDXL's shapes (at full size, and scaled down so that
// the reference is fast), and shapes that are difficult for kernels: ones, primes, ragged tails, every flag, packing
// and dtype.
#pragma once

#include <string>
#include <vector>

#include "backend/backend.h"

namespace tempera {

// The values of an input. They depend only on this description.
struct Fill {
  enum class Kind : uint8_t {
    normal,   // mean + deviation * normal
    ids,      // whole numbers in [0, limit)
    step,     // rows of StepLayout: input scale 0.3 (n + 1), guidance 7.5 - n, rescaled by 0.7 (0 in odd rows),
              // thresholding in slot 1 (in row 1 and every third after it none), blending below 0.5 (in row 1 and every
              // fourth after it none), then normal
    uniform,  // steps of 1/8 in [0, 1]
  };
  Kind kind = Kind::normal;
  double mean = 0, deviation = 1;
  int64_t limit = 0;
  bool weight = false;  // a parameter of the checkpoint, through Kernel::pack
};

struct CaseInput {
  TensorDesc desc;
  Fill fill;
};

enum class CaseSize : uint8_t {
  quick,  // the reference needs a second or two for the whole list
  full,   // one layer of SDXL at 1024 x 1024; the reference needs seconds
  huge,   // one such layer; the reference needs minutes, so only for benchmarks
};

struct Case {
  std::string name;  // "linear{bias} bf16[2x77x768], bf16[768x768], f32[768] -> bf16[2x77x768]"; unique
  Problem problem;
  std::vector<Fill> fills;  // one per input
  CaseSize size = CaseSize::quick;
  double flops = 0, bytes = 0;  // arithmetic as in flops(); inputs, weights and output, read or written once

  const TensorDesc& input(size_t i) const { return problem.inputs[i]; }
};

// `note` makes the names of cases of equal shapes different. Throws Error(internal) if the inputs do not fit the op.
Case make_case(const Op& op, const std::vector<CaseInput>& inputs, CaseSize size = CaseSize::quick,
               std::string_view note = "");

// All cases, grouped by op.
std::vector<Case> all_cases();

// The bytes of input i in its own dtype.
std::vector<std::byte> input_bytes(const Case& c, size_t i);

// Weight input i as in a checkpoint: in one to three parts along the first dimension, in the graph's dtype or another.
// It depends only on the weight's description, so that equal weights of two cases are the same weight.
struct SourceWeight {
  struct Part {
    DType dtype;
    std::vector<std::byte> bytes;
  };
  std::string name;  // weights of equal names have equal bytes
  std::vector<Part> parts;

  // Refers to this object.
  std::vector<WeightPart> view() const;
};
SourceWeight source_weight(const Case& c, size_t i);

}  // namespace tempera
