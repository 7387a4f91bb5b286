// Plans: oneDNN's answer to one matrix product or convolution (which layout the weights take, how much scratch memory),
// cached by problem, because lowering and binding ask for the same one many times. A Call is a plan at addresses: no
// more than those, since a UNet in two passes makes thousands of them from two hundred plans.
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

// What follows the activation: dst = act(product + bias) (+ or *) operand, a tensor like dst; with `accumulate` plus
// what dst holds.
enum class Operand : uint8_t { none, add, multiply, accumulate };

// dst (m, n) = act(src (m, k) weights + bias) op operand; weights are given as (n, k), row-major, before packing.
// `dtype` is what src and weights are in, `to` what dst and operand are in.
struct MatmulSpec {
  int64_t m = 0, k = 0, n = 0;
  DType dtype = DType::f32, to = DType::f32;
  bool bias = false;
  Activation activation = Activation::none;
  Operand operand = Operand::none;
  auto operator<=>(const MatmulSpec&) const = default;
};

// Images (N, H, W, C), or (N, C / 8, H, W, 8) where they are `blocked`; weights are given as (out, channels, kernel,
// kernel) before packing. Pads are in pixels.
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

// A plan compiled, and what oneDNN's execute() reads: memory objects, which each call moves to its own addresses.
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
  bool accumulates = false;  // the operand is added to what dst holds: it must be copied there first
  WeightLayout layout;
  std::function<dnnl::primitive()> create;
  mutable std::optional<Prepared> prepared;  // by Library::prepared()
};

class Library {
 public:
  // Throws Error(unavailable).
  Library();

  // Throw Error(unavailable) when oneDNN does not implement it here, or, for bf16, only by loops that are no use.
  std::shared_ptr<const Plan> plan(const MatmulSpec& spec);
  std::shared_ptr<const Plan> plan(const ConvSpec& spec);

  // Shared by every call of the plan, which run one at a time: scratch memory is the caller's. Ends with the plan.
  // Forgets the plans that nothing holds: planning a request asks for more than the request uses.
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
