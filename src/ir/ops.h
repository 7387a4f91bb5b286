// The operations of a model: parameters only, no behaviour. Every node has one output. Images are (N, H, W, C), tokens
// (N, T, C); weights keep PyTorch's layout, convolutions (O, I, kh, kw) and linear layers (O, I). backend/reference
// defines the result of each op, and ir/infer.cpp its shape rule.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"

namespace tempera {

enum class Activation : uint8_t { none, silu, gelu, quick_gelu, relu, tanh };

// How often an input changes. Values that depend only on weights and per-request inputs are computed once per request.
enum class Rate : uint8_t { request, step };

// A value that the caller provides.
struct Input {
  std::string name;
  Rate rate = Rate::request;
  bool operator==(const Input&) const = default;
};
// A value from the checkpoint times `factor`; several names are concatenated along the first dimension.
struct Weight {
  std::vector<std::string> names;
  float factor = 1;  // a power of two: exact within the type's range
  bool operator==(const Weight&) const = default;
};
// act(conv(x, w) + bias) + residual. Inputs: x, w (O, I, k, k), [bias (O)], [tail], [residual (N, Ho, Wo, O)].
// tail (N, H, W, T) has x's type and holds the last T of the I channels. x then holds the first I - T. The result is
// that of the concatenation of both. Only for convolutions of one pixel (stride 1, no padding) without an activation.
struct Conv2d {
  int kernel = 3, stride = 1, pad_before = 1, pad_after = 1;
  bool bias = true;
  Activation activation = Activation::none;
  bool residual = false;
  std::optional<DType> to = std::nullopt;  // type of output and residual; without it, x's type
  bool tail = false;
  bool operator==(const Conv2d&) const = default;
};
// act(x w^T + bias) + residual on the last dimension. Inputs: x (..., I), w (O, I), [bias (O)], [residual (..., O)].
struct Linear {
  bool bias = true;
  Activation activation = Activation::none;
  bool residual = false;
  std::optional<DType> to = std::nullopt;  // as in Conv2d
  bool operator==(const Linear&) const = default;
};
// GELU-gated linear unit (Shazeer 2020, as diffusers GEGLU): y = x w^T + bias has 2F columns; out = y[:F] *
// gelu(y[F:]). Inputs: x (..., I), w (2F, I), [bias (2F)]. Output (..., F).
struct GegluLinear {
  bool bias = true;
  bool operator==(const GegluLinear&) const = default;
};
// The gate alone: (..., 2F) -> (..., F), first half times gelu of the second.
struct GeluGate {
  bool operator==(const GeluGate&) const = default;
};
// act(group_norm(x + shift) * gamma + beta), statistics over (H, W, C / groups) of each picture in float32.
// Inputs: x (N, H, W, C), gamma (C), beta (C), [shift (N, 1, 1, C)], [tail (N, H, W, T)]: as in Conv2d; C counts both.
struct GroupNorm {
  int groups = 32;
  float eps = 1e-5f;
  Activation activation = Activation::none;
  bool shift = false;
  std::optional<DType> to = std::nullopt;  // type of the output; without it, x's type
  bool tail = false;
  bool operator==(const GroupNorm&) const = default;
};
// The index of the tail among the inputs, if there is one.
inline size_t tail_input(const Conv2d& op) {
  return op.bias ? 3 : 2;
}
inline size_t tail_input(const GroupNorm& op) {
  return op.shift ? 4 : 3;
}
// Whether each output pixel depends only on the input's pixel at the same place.
inline bool is_pointwise(const Conv2d& op) {
  return op.kernel == 1 && op.stride == 1 && op.pad_before == 0 && op.pad_after == 0;
}
// Over the last dimension, statistics in float32. Inputs: x (..., C), gamma (C), beta (C).
struct LayerNorm {
  float eps = 1e-5f;
  std::optional<DType> to = std::nullopt;  // as in GroupNorm
  bool operator==(const LayerNorm&) const = default;
};
// softmax(scale * q k^T) v per head; head h has channels [h D, (h + 1) D). causal masks keys after the query.
// q is (N, T, C), k and v are (N, S, C). Inputs are: q, k and v; or one (N, T, 3C) with q, k, v; or q and one (N, S,
// 2C).
struct Attention {
  enum class Packing : uint8_t { separate, qkv, q_kv };
  int heads = 1;
  float scale = 1;
  bool causal = false;
  Packing packing = Packing::separate;
  bool operator==(const Attention&) const = default;
};
struct Activate {
  Activation kind = Activation::silu;
  bool operator==(const Activate&) const = default;
};
// a + b. b has a's shape, or ones in the dimensions where it is broadcast.
struct Add {
  bool operator==(const Add&) const = default;
};
// factor * x + offset. Both have one number for all channels (last dimension) or one for every channel.
struct Scale {
  std::vector<float> factor = {1}, offset = {0};
  bool operator==(const Scale&) const = default;
};
// Along the channels (last dimension); two inputs.
struct Concat {
  bool operator==(const Concat&) const = default;
};
// Nearest neighbour, twice the height and width; an odd target drops the last row or column (what interpolation to the
// size of a skip connection gives).
struct Upsample2x {
  bool odd_height = false, odd_width = false;
  bool operator==(const Upsample2x&) const = default;
};
// Rows of a table. Inputs: ids (N, T) i32, table (V, C), [extra (E, C)]. Output (N, T, C). Ids must be in [0, V); with
// extra, in [0, V + E), and id V + i is row i of extra. So a caller adds rows without another table.
struct Embed {
  bool extra = false;
  bool operator==(const Embed&) const = default;
};
// Row index[n] of picture n. Inputs: x (N, T, C), index (N) i32. Output (N, C).
struct GatherRow {
  bool operator==(const GatherRow&) const = default;
};
// Sinusoidal embedding (diffusers get_timestep_embedding, max_period 10000): (N, K) f32 -> (N, K dim).
struct TimestepEmbedding {
  int dim = 320;
  bool flip_sin_to_cos = true;
  float freq_shift = 0;
  bool operator==(const TimestepEmbedding&) const = default;
};
// The same elements under another shape; costs nothing.
struct View {
  Shape shape;
  bool operator==(const View&) const = default;
};
struct Cast {
  DType to = DType::f32;
  bool operator==(const Cast&) const = default;
};
// The denoising loop's ops work on N pictures, each with an own row of step (N, L), see StepLayout: samplers, steps and
// strengths of guidance may differ. What a sampler remembers is the state (N, slots H, W, C) f32: picture after
// picture, and in each picture slot after slot, one below the other in the height. Slot 0 is what the model sees. The
// model's batch has the negative rows of the first `guided` pictures, then the positive rows of all: guided + N.

// A tensor with one row a picture as rows of the model's batch: [the first `guided` rows..., all rows...].
// Input (N, ...), output (guided + N, ...).
struct BranchRows {
  int guided = 0;
  bool operator==(const BranchRows&) const = default;
};
// Slot 0 of each picture times its step[input_scale], as rows of the model's batch. Inputs: state, step. Output (guided
// + N, H, W, C) in `to`.
struct ModelInput {
  int guided = 0, slots = 1;
  DType to = DType::f32;
  bool operator==(const ModelInput&) const = default;
};
// Classifier-free guidance (Ho & Salimans 2022). For the first `guided` pictures: u + g (c - u), where u and c are a
// picture's negative and positive row. For the others: the positive row. Where a picture's step[guidance_rescale] is
// not 0, the standard deviation is moved towards that of c (Lin et al. 2023, section 3.4). Inputs: prediction (guided +
// N, H, W, C), step. Output (N, H, W, C) f32.
struct Guidance {
  int guided = 1;
  bool rescale = false;
  bool operator==(const Guidance&) const = default;
};
// Dynamic thresholding (Saharia et al. 2022, section 2.3) for the pictures whose step[threshold_slot] is a slot above
// 0: it becomes clamp(x, -s, s) / s, where x = step[threshold_of_sample] slot 0 +
// step[threshold_of_prediction] prediction, and s is the quantile step[threshold_ratio] of |x| over the picture (linear
// between two neighbours of the sorted values), at least 1 and then at most step[threshold_max]. All else of the state
// stays. Inputs: state, prediction (N, H, W, C), step. May run in place on state.
struct ThresholdSample {
  int slots = 2;
  bool operator==(const ThresholdSample&) const = default;
};
// One linear update of each picture's sampler: state'[k] = sum_j M[k][j] state[j] + M[k][slots] prediction + M[k][slots
// + 1] noise. M is from the picture's row of step. A sampler of fewer slots has zeros for the others. Every bit of its
// own slots is then equal to the result of SamplerUpdate with that number of slots. Inputs: state, prediction (N, H, W,
// C), noise (N, H, W, C) f32, step. May run in place on state.
struct SamplerUpdate {
  int slots = 1;
  bool operator==(const SamplerUpdate&) const = default;
};
// Inpainting with a model that does not read a mask (diffusers StableDiffusionXLInpaintPipeline for UNets of 4
// channels; Levin and Fried 2023 for masks that change between steps). Pixels of slot 0 where mask <
// step[blend_threshold] become step[blend_signal] original + step[blend_noise] noise: the original picture at the noise
// level after the update. All else of the state stays. A threshold of 0 changes nothing, so a picture without a mask
// can share a batch with others. Inputs: state, original (N, H, W, C) f32, noise (N, H, W, C) f32, mask (N, H, W, 1)
// f32 in 0 to 1, step. May run in place on state.
struct BlendMask {
  int slots = 1;
  bool operator==(const BlendMask&) const = default;
};
// round(255 clamp(x / 2 + 1/2, 0, 1)) as u8, as in diffusers' VaeImageProcessor.
struct ToRgb8 {
  bool operator==(const ToRgb8&) const = default;
};

using Op = std::variant<Input, Weight, Conv2d, Linear, GegluLinear, GeluGate, GroupNorm, LayerNorm, Attention, Activate,
                        Add, Scale, Concat, Upsample2x, Embed, GatherRow, TimestepEmbedding, View, Cast, BranchRows,
                        ModelInput, Guidance, ThresholdSample, SamplerUpdate, BlendMask, ToRgb8>;

// The index of an alternative in Op: the key of kernel tables. ops.cpp checks that the two lists agree.
enum class OpKind : uint8_t {
  input,
  weight,
  conv2d,
  linear,
  geglu_linear,
  gelu_gate,
  group_norm,
  layer_norm,
  attention,
  activate,
  add,
  scale,
  concat,
  upsample2x,
  embed,
  gather_row,
  timestep_embedding,
  view,
  cast,
  branch_rows,
  model_input,
  guidance,
  threshold_sample,
  sampler_update,
  blend_mask,
  to_rgb8
};
inline constexpr size_t kOpKinds = static_cast<size_t>(OpKind::to_rgb8) + 1;

inline OpKind kind_of(const Op& op) {
  return static_cast<OpKind>(op.index());
}

// For visitors without a catch-all: one method for several ops, all of which are named.
template <class T, class... Ts>
concept OneOf = (std::same_as<T, Ts> || ...);

// "conv2d", "linear", ...: the name in dumps and kernel tables.
std::string_view name(OpKind kind);
std::string_view name(Activation activation);

// Values that vary per denoising step are data. This is the layout of a row of `step` (N, L) f32, which the step ops
// read. Every picture has one row.
struct StepLayout {
  static constexpr int kInputScale = 0, kGuidanceScale = 1, kGuidanceRescale = 2;
  static constexpr int kThresholdSlot = 3, kThresholdOfSample = 4, kThresholdOfPrediction = 5;
  static constexpr int kThresholdRatio = 6, kThresholdMax = 7;
  static constexpr int kBlendThreshold = 8, kBlendSignal = 9, kBlendNoise = 10;
  static constexpr int kUpdate = 11;
  // L for this number of slots: the header and the slots x (slots + 2) matrix, row-major.
  static constexpr int64_t length(int slots) { return kUpdate + static_cast<int64_t>(slots) * (slots + 2); }
};

}  // namespace tempera
