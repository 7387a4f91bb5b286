// The data about a backend's kernels that lowering uses: the ops that a kernel can run and the reasons why not, the
// scratch memory it needs, and the bytes of its form of a weight. No device, no pointers.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace tempera {

// How a kernel's rounding differs from the rounding in the graph (docs/NUMERICS.md).
enum class Numerics : uint8_t {
  bitwise,      // moves data only
  rounding,     // rounds exactly where the graph does
  approximate,  // another order of summation, or fewer roundings; the row's tolerance is the limit
};

// One node from the view of a kernel: the op, all inputs (with weights) and the output.
struct Problem {
  Op op;
  std::vector<TensorDesc> inputs;
  TensorDesc output;
  bool operator==(const Problem&) const = default;
};

// One way to run one kind of op.
struct KernelInfo {
  std::string_view name;  // "linear/onednn"
  OpKind op{};
  Numerics numerics = Numerics::approximate;
  // Relative norm ||out - reference|| / ||reference|| that conformance allows, per output dtype class.
  double tolerance_f32 = 1e-5;
  double tolerance_half = 1e-2;
  // Whether the output may be written over the first input, if that has as many elements and bytes.
  bool in_place = false;
  // The reason why it cannot run this problem, as the end of a sentence ("needs AVX-512"). Nothing when it can.
  std::function<std::optional<std::string>(const Problem&)> refuse = {};
  // Bytes of scratch memory for one run.
  std::function<size_t(const Problem&)> workspace = [](const Problem&) -> size_t { return 0; };
  // Bytes that the backend keeps for each distinct problem, such as generated code. Measured (docs/MEMORY.md).
  size_t overhead = 0;
  // Bytes of its own form of weight input i. Equal `layout` strings mean equal bytes, which programs can share. By
  // default it is the form of the graph.
  struct Packed {
    size_t bytes = 0;
    std::string layout = "plain";
  };
  std::function<Packed(const Problem&, int input)> packed = [](const Problem& p, int input) -> Packed {
    return {p.inputs[static_cast<size_t>(input)].bytes(), "plain"};
  };
};

// A machine to lower for. The first kernel that does not refuse is selected.
struct Target {
  std::string name;  // "cpu", "cuda"
  std::vector<const KernelInfo*> kernels;
  size_t alignment = 64;          // of every offset
  bool host_memory = false;       // device memory is the host's: pictures and texts are in the same memory
  bool batches_pictures = false;  // a batch of pictures is faster than one after the other
  // Memory in addition to the reports of programs: code, libraries, driver. Measured (docs/MEMORY.md).
  size_t overhead = 0;
  size_t overhead_step = 0;  // for each step of a bound program
  // Device memory that copies of parameters need in addition to their own space, such as pages of the file during
  // packing: stream_share times the largest such parameter, at most stream_overhead bytes.
  size_t stream_overhead = 0;
  double stream_share = 0;
};

}  // namespace tempera
