// A plan is oneDNN's implementation of one matrix product or convolution, with the layout of its weights and its
// scratch memory. Plans are cached by problem, because lowering and binding need the same one many times. A Call is a
// plan with addresses and nothing else, since a UNet in two passes makes thousands of calls from two hundred plans.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "backend/cpu/onednn/api.h"
#include "backend/cpu/packing/packing.h"
#include "ir/ops.h"

namespace tempera::onednn {

// The operation after the activation: dst = act(product + bias) (+ or *) operand, a tensor like dst. With `accumulate`,
// the old value of dst is added.
enum class Operand : uint8_t { none, add, multiply, accumulate };

// dst (m, n) = act(src (m, k) weights + bias) op operand. Weights are (n, k), row-major, before packing. `dtype` is the
// type of src and weights, `to` that of dst and operand.
struct MatmulSpec {
  int64_t m = 0, k = 0, n = 0;
  DType dtype = DType::f32, to = DType::f32;
  bool bias = false;
  Activation activation = Activation::none;
  Operand operand = Operand::none;
  auto operator<=>(const MatmulSpec&) const = default;
};

// Images (N, H, W, C), or (N, C / 8, H, W, 8) if they are `blocked`. Weights are (out, channels, kernel, kernel) before
// packing. Pads are in pixels.
struct ConvSpec {
  int64_t batch = 0, height = 0, width = 0, channels = 0, out = 0;
  int64_t kernel = 3, stride = 1, pad_top = 1, pad_bottom = 1, pad_left = 1, pad_right = 1;
  DType dtype = DType::f32, to = DType::f32;
  bool bias = false;
  Activation activation = Activation::none;
  Operand operand = Operand::none;
  bool blocked = false;
  auto operator<=>(const ConvSpec&) const = default;
  int64_t out_height() const { return (height + pad_top + pad_bottom - kernel) / stride + 1; }
  int64_t out_width() const { return (width + pad_left + pad_right - kernel) / stride + 1; }
};

// A compiled plan, and the memory objects for oneDNN's execute(). Each call sets their addresses.
struct Prepared {
  dnnl::primitive primitive;
  std::unordered_map<int, dnnl::memory> memories;
};

struct Plan {
  Desc src, weights, bias, dst;
  size_t scratch = 0;  // bytes
  std::string implementation;
  Operand operand = Operand::none;
  int operand_argument = 0;  // DNNL_ARG_... of the operand
  bool accumulates = false;  // the operand is added to dst, so it must be copied there first
  WeightLayout layout;
  std::function<dnnl::primitive()> create;
  mutable std::optional<Prepared> prepared;  // by Library::prepared()
};

class Library {
 public:
  // Throws Error(unavailable).
  Library();

  // Throw Error(unavailable) if oneDNN does not implement it here, or, for bf16, only by loops that are too slow.
  std::shared_ptr<const Plan> plan(const MatmulSpec& spec);
  std::shared_ptr<const Plan> plan(const ConvSpec& spec);

  // Shared by all calls of the plan, which run one at a time, because the scratch memory is the caller's. It lives as
  // long as the plan. The first call for a plan drops the cached plans that are not in use, if they are many: a search
  // for a plan within a budget creates more plans than the request uses.
  Prepared& prepared(const Plan& plan);

  dnnl::stream& stream() { return stream_; }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  std::mutex mutex_;
  std::map<MatmulSpec, std::shared_ptr<const Plan>> matmuls_;
  std::map<ConvSpec, std::shared_ptr<const Plan>> convolutions_;
};

// Addresses of one call; bias and operand null where the plan has none.
struct CallArgs {
  const void* src = nullptr;
  const void* weights = nullptr;
  const void* bias = nullptr;
  const void* operand = nullptr;
  void* dst = nullptr;
  void* scratch = nullptr;
};

class Call {
 public:
  Call(Library& library, std::shared_ptr<const Plan> plan, const CallArgs& args);
  void run();
  // Moves the call to other data of the same shapes.
  void set(const CallArgs& args) { args_ = args; }

 private:
  std::shared_ptr<const Plan> plan_;
  Prepared& prepared_;
  dnnl::stream& stream_;
  CallArgs args_;
};

}  // namespace tempera::onednn
