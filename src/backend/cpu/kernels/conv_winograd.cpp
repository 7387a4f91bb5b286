// conv2d/winograd: 3 x 3 convolutions by F(4 x 4, 3 x 3) in f32, with a quarter of the multiplications of the direct
// sum. The error is that of f32 sums (1e-6 relative), also if inputs, weights and outputs are bf16.
//
// A slice of output channels is computed at a time. Its weights are transformed into scratch memory. Then every thread
// runs the three steps on one block of tiles after the other, so that the data of a block stays in its caches.
// Transformed weights are four times (in bf16: eight times) as large as the weights, so they are computed again in each
// call. This costs as much as several hundred pixels, so it does not pay off for small pictures.
#include <fmt/format.h>

#include <algorithm>

#include "backend/cpu/amx.h"
#include "backend/cpu/cpu.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/winograd.h"
#include "backend/cpu/launch.h"
#include "backend/cpu/packing/packing.h"

namespace tempera {
namespace {

constexpr int64_t kTapBytes = 16 << 20;   // a slice's transformed weights
constexpr int64_t kBlockBytes = 3 << 20;  // a thread's values and products
constexpr int64_t kMostTiles = 48;
constexpr int64_t kPadding = 16;  // elements, so that the 36 matrices do not use the same sets of a cache

class WinogradConv {
 public:
  WinogradConv(const Problem& p, const Binding& at)
      : op_(std::get<Conv2d>(p.op)), isa_(winograd_isa()), at_(at), type_(p.inputs[0].dtype) {
    const Shape &x = p.inputs[0].shape, &out = p.output.shape;
    tiles_ = {x[1], x[2], out[1], out[2], op_.pad_before};
    count_ = x[0] * tiles_.per_picture();
    scratch_.channels = p.inputs[1].shape[1];
    output_ = {.type = p.output.dtype, .data = at.output, .activation = op_.activation, .channels = out[3]};
    if (at.output != nullptr) {
      output_.bias = op_.bias ? reinterpret_cast<const float*>(at.inputs[2]) : nullptr;
      output_.residual = op_.residual ? at.inputs.back() : nullptr;
    }
    cut();
  }

  size_t workspace() const {
    return static_cast<size_t>(kWinogradPlaces * scratch_.taps_step + threads_ * thread_elements()) * sizeof(float);
  }

  void operator()(Queue&) const {
    const int64_t pairs = scratch_.channels / 2, blocks = (count_ + block_ - 1) / block_;
    WinogradScratch scratch = scratch_;
    scratch.taps = reinterpret_cast<float*>(at_.workspace);
    for (int64_t o = 0; o < output_.channels; o += slice_) {
      const WinogradBlock slice{.first_out = o, .out = std::min(slice_, output_.channels - o)};
      parallel_ranges(slice.out / kWinogradPanel * pairs, 8,
                      [&](int64_t begin, int64_t end) { isa_.taps(type_, at_.inputs[1], slice, begin, end, scratch); });
      parallel_ranges(threads_, 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
          WinogradScratch own = scratch;
          own.values = scratch.taps + kWinogradPlaces * scratch.taps_step + t * thread_elements();
          own.products = own.values + kWinogradPlaces * scratch.values_step;
          for (int64_t b = blocks * t / threads_; b < blocks * (t + 1) / threads_; ++b) run(slice, b * block_, own);
        }
      });
    }
  }

 private:
  void run(WinogradBlock block, int64_t first, const WinogradScratch& scratch) const {
    block.first = first;
    block.count = std::min(block_, count_ - first);
    isa_.values(type_, at_.inputs[0], tiles_, block, scratch);
    isa_.multiply(block, scratch);
    isa_.results(tiles_, block, scratch, output_);
  }

  // Slices of about equal width, and blocks so small that every thread has work.
  void cut() {
    const int64_t channels = scratch_.channels, out = output_.channels, bytes = kWinogradPlaces * 4;
    const auto panels = [](int64_t n) { return (n + kWinogradPanel - 1) / kWinogradPanel * kWinogradPanel; };
    const int64_t most = std::max(2 * kWinogradPanel, kTapBytes / (bytes * channels) / kWinogradPanel * kWinogradPanel);
    slice_ = panels((out + (out + most - 1) / most - 1) / ((out + most - 1) / most));
    threads_ = std::min<int64_t>(thread_count(), (count_ + isa_.rows - 1) / isa_.rows);
    const auto rows = [&](int64_t n) { return (n + isa_.rows - 1) / isa_.rows * isa_.rows; };
    const int64_t fits = kBlockBytes / (bytes * (channels + slice_)) / isa_.rows * isa_.rows;
    block_ =
        std::clamp(rows((count_ + threads_ - 1) / threads_), isa_.rows, std::clamp(fits, 2 * isa_.rows, kMostTiles));
    scratch_.values_row = channels + kPadding;
    scratch_.products_row = slice_ + kPadding;
    scratch_.values_step = block_ * scratch_.values_row + kPadding;
    scratch_.products_step = block_ * scratch_.products_row + kPadding;
    scratch_.taps_step = slice_ * channels + kPadding;
  }

  int64_t thread_elements() const { return kWinogradPlaces * (scratch_.values_step + scratch_.products_step); }

  Conv2d op_;
  const WinogradIsa& isa_;
  Binding at_;
  DType type_;
  WinogradTiles tiles_;
  int64_t count_ = 0;                            // tiles of all pictures
  int64_t slice_ = 0, block_ = 0, threads_ = 0;  // output channels; tiles; threads with work
  WinogradScratch scratch_;
  WinogradOutput output_;
};

WeightLayout layout_of(const Problem& p) {
  const Shape& w = p.inputs[1].shape;
  const DType type = p.inputs[1].dtype;
  const int64_t pair = type == DType::f32 ? 1 : 2, row = kWinogradPanel * pair;
  WeightLayout layout;
  layout.shape = {w[0], w[1], 3};
  layout.dtype = type;
  layout.elements = w.elements();
  for (int64_t o = 0; o < w[0]; ++o)
    layout.offset_out.push_back(o / kWinogradPanel * kWinogradPanel * w[1] * 9 + o % kWinogradPanel * pair);
  for (int64_t i = 0; i < w[1]; ++i) layout.offset_in.push_back(i / pair * 9 * row + i % pair);
  for (int64_t t = 0; t < 9; ++t) layout.offset_tap.push_back(t * row);
  layout.name = fmt::format("{} {}x{}x3x3 in panels of {}", tempera::name(type), w[0], w[1], kWinogradPanel);
  return layout;
}

// The least number of pixels of a picture for this kernel, by the type of the direct sum (measured with 320 to 1,920
// channels on two cores of Zen 5). It is per picture, because a picture must not depend on others in its batch.
int64_t least_pixels(DType type) {
  static const bool bf16_arithmetic = cpu_features().bf16_arithmetic;
  return type == DType::bf16 && bf16_arithmetic ? 4096 : 1024;
}

std::optional<std::string> refuse(const Problem& p) {
  const auto& op = std::get<Conv2d>(p.op);
  const DType type = p.inputs[0].dtype, to = p.output.dtype;
  if (!is_f32_or_bf16(type) || p.inputs[1].dtype != type || (to != type && to != DType::f32))
    return "takes and writes f32 and bf16 only";
  if (op.bias && p.inputs[2].dtype != DType::f32) return "takes biases in f32 only";
  if (op.residual && p.inputs.back().dtype != to) return "takes a residual of the output's type only";
  if (op.kernel != 3 || op.stride != 1 || op.tail) return "is for 3 x 3 windows in steps of 1";
  if (p.inputs[0].shape[3] % 16 != 0 || p.output.shape[3] % kWinogradPanel != 0)
    return "takes multiples of 16 channels to multiples of 32";
  if (type == DType::bf16 && has_amx()) return "is slower than products of bf16 in tiles (AMX)";
  if (p.output.shape[1] * p.output.shape[2] < least_pixels(type)) return "does not pay for so few pixels";
  return std::nullopt;
}

}  // namespace

void add_conv_winograd_kernels(std::vector<Kernel>& table) {
  KernelInfo info = kernel_info("conv2d/winograd", OpKind::conv2d);
  info.tolerance_f32 = 1e-5;
  info.tolerance_half = 6e-3;
  info.refuse = refuse;
  info.workspace = [](const Problem& p) { return WinogradConv(p, {}).workspace(); };
  info.packed = [](const Problem& p, int input) -> KernelInfo::Packed {
    if (input != 1) return {p.inputs[static_cast<size_t>(input)].bytes(), "plain"};
    const auto layout = layout_of(p);
    return {layout.bytes(), layout.name};
  };
  table.push_back({info, [](const Problem& p, const Binding& at) -> Launch { return WinogradConv(p, at); },
                   [](const Problem& p, int input, std::span<const WeightPart> parts, std::byte* to) {
                     if (input != 1) return pack_plain(p.inputs[static_cast<size_t>(input)].dtype, parts, to);
                     const auto layout = layout_of(p);
                     const WeightRows rows(parts, layout.shape.out, layout.shape.in * layout.shape.taps());
                     pack_weight(layout, rows, 0, to);
                   }});
}

}  // namespace tempera
