// The host's interface to the device code: one function per op with plain arguments. Each enqueues one to three kernels
// on a stream and checks nothing (the caller checks the last error). Sums are in f32 in a fixed order: the same inputs
// give the same bytes. ir/ops.h describes the results.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"
#include "ir/ops.h"

namespace tempera::cuda {

// The dense elements of a tensor: f32, f16 or bf16 unless noted otherwise.
struct In {
  const void* data = nullptr;
  DType type = DType::f32;
};
struct Out {
  void* data = nullptr;
  DType type = DType::f32;
};

// The architecture of the code that runs on the current card: 80, 90, 120. It is less than the card's own if the card
// runs code for an older one, and 0 if this build has no code for it.
int code_for_this_card();

// elementwise.cu. The output may be the first input if their types are equal.
void activate(Activation kind, In x, Out out, int64_t n, cudaStream_t stream);
void scale(float factor, float offset, In x, Out out, int64_t n, cudaStream_t stream);
// Element i is multiplied by factor[i % channels], then offset[i % channels] is added.
struct ChannelScales {
  static constexpr int kMost = 64;
  int channels = 0;
  float factor[kMost], offset[kMost];
};
void scale(const ChannelScales& scales, In x, Out out, int64_t n, cudaStream_t stream);
void cast(In x, Out out, int64_t n, cudaStream_t stream);

// out = a + b. Element (i0, i1, i2, i3) of `shape` reads b at the sum of i * strides, 0 where b is broadcast.
struct AddArgs {
  In a, b;
  Out out;
  int64_t shape[4], strides[4];
};
void add(const AddArgs& args, cudaStream_t stream);

// The operations after a product: out = act(x + bias) + residual, for `rows` rows of `columns`. An absent bias or
// residual has no data. out may be x.
struct EpilogueArgs {
  In x, bias, residual;
  Out out;
  int64_t rows = 0, columns = 0;
  Activation activation = Activation::none;
};
void epilogue(const EpilogueArgs& args, cudaStream_t stream);

// out (rows, width) = (x[:width] + bias) * gelu(x[width:] + bias) of x (rows, 2 width). bias may have no data; it has
// x's type.
void gelu_gate(In x, In bias, Out out, int64_t rows, int64_t width, cudaStream_t stream);

// movement.cu; sizes in bytes.
void concat(const void* a, const void* b, void* out, int64_t rows, int64_t a_bytes, int64_t b_bytes,
            cudaStream_t stream);
// The output picture has out_height x out_width pixels. Pixel (y, x) is input pixel (y / 2, x / 2).
void upsample2x(const void* x, void* out, int64_t pictures, int64_t in_height, int64_t in_width, int64_t out_height,
                int64_t out_width, int64_t pixel_bytes, cudaStream_t stream);
// Row i of out is row i * stride + ids[i] of x, for `rows` rows. ids are clamped to [0, limit).
void gather(const void* x, const int32_t* ids, void* out, int64_t rows, int64_t row_bytes, int64_t stride,
            int64_t limit, cudaStream_t stream);
// Row i of out is row ids[i] of a, which has `in_a` rows, or row ids[i] - in_a of b. ids are clamped to [0, limit).
void gather_of_two(const void* a, const void* b, const int32_t* ids, void* out, int64_t rows, int64_t row_bytes,
                   int64_t in_a, int64_t limit, cudaStream_t stream);
// out: the first `guided` rows of x, then all of its `rows` rows.
void branch_rows(const void* x, void* out, int64_t rows, int64_t row_bytes, int64_t guided, cudaStream_t stream);

// sampling.cu. Rows of StepLayout on the device. The row of picture n begins at data + n * length.
struct StepRows {
  const float* data;
  int64_t length;
};
void timestep_embedding(const float* x, float* out, int64_t n, int dim, bool flip, float freq_shift,
                        cudaStream_t stream);
// elements: of one slot of a picture.
void model_input(const float* state, StepRows step, Out out, int64_t pictures, int64_t guided, int slots,
                 int64_t elements, cudaStream_t stream);
struct GuidanceArgs {
  In prediction;
  StepRows step;
  float* out;
  int64_t pictures, guided, elements;  // elements: of a picture
  float* factors;                      // scratch, one for each guided picture; null: no rescaling
};
void guidance(const GuidanceArgs& args, cudaStream_t stream);
struct ThresholdArgs {
  const float* state;
  In prediction;
  StepRows step;
  float* out;                         // may be state
  int64_t pictures, slots, elements;  // elements: of one slot of a picture
  float* ranges;                      // scratch, one for each picture
};
void threshold_sample(const ThresholdArgs& args, cudaStream_t stream);
// slots: 1 to 8. elements: of one slot of a picture. out may be state.
void sampler_update(const float* state, In prediction, const float* noise, StepRows step, float* out, int64_t pictures,
                    int slots, int64_t elements, cudaStream_t stream);
struct BlendArgs {
  const float *state, *original, *noise, *mask;  // mask: one value for the channels of a pixel
  StepRows step;
  float* out;                                   // may be state
  int64_t pictures, slots, elements, channels;  // elements: of one slot of a picture
};
void blend_mask(const BlendArgs& args, cudaStream_t stream);
void to_rgb8(In x, uint8_t* out, int64_t n, cudaStream_t stream);

// normal.cu: NormalDraw of backend.h.
struct NormalArgs {
  uint64_t seed, counter, threads;
  int64_t channels, pixels;
  float scale;
};
void normal(const NormalArgs& args, float* out, cudaStream_t stream);

// group_norm.cu. x is (pictures, pixels, head). tail has the other channels and x's type, or no data.
struct GroupNormArgs {
  In x, tail, shift;  // shift (pictures, channels), or no data
  const float *gamma, *beta;
  Out out;  // (pictures, pixels, channels); may be x if there is no tail
  int64_t pictures, pixels;
  int channels, head, groups;
  float eps;
  Activation activation;
  float* scratch;  // group_norm_plan().scratch bytes
};
void group_norm(const GroupNormArgs& args, cudaStream_t stream);

// layer_norm.cu. out may be x.
void layer_norm(In x, const float* gamma, const float* beta, Out out, int64_t rows, int64_t channels, float eps,
                cudaStream_t stream);

// softmax.cu: replaces each row of `keys` scores by weights with a sum of one. The weights may have a smaller type; a
// row of weights starts at the address of its scores. causal: row r is query q = first_query + r % queries and uses
// keys [0, q].
struct SoftmaxArgs {
  In scores;
  Out weights;  // the same address
  int64_t rows, queries, first_query, keys;
  bool causal;
};
void softmax(const SoftmaxArgs& args, cudaStream_t stream);

// attention_flash.cu: f16 and bf16, heads of at most 128 channels, a multiple of 8. Strides are in elements: token t of
// picture n starts at (n * tokens + t) * stride, head h at h * dim from there.
struct FlashArgs {
  const void *q, *k, *v;
  void* out;
  DType type;
  int pictures, heads, queries, keys, dim;
  int64_t q_stride, kv_stride, out_stride;
  float scale;
  bool causal;
};
void attention_flash(const FlashArgs& args, cudaStream_t stream);

// tempera's own convolutions. weights: (out, kernel, kernel, in).
struct ConvArgs {
  In x, weights, bias, residual;  // bias and residual have no data if absent
  Out out;
  int pictures, height, width, in, out_height, out_width, out_channels;
  int kernel, stride, pad;  // pad above and to the left
  Activation activation;
};
// conv_direct.cu: any size and type.
void conv_direct(const ConvArgs& args, cudaStream_t stream);
// conv_narrow.cu (conv_few_inputs.cu and conv_few_outputs.cu for halves). x and weights have one type; no activation.
// conv_few_outputs: at most four output channels, input channels a multiple of 8. conv_few_inputs: at most nine input
// channels, output channels a multiple of 8, 3 x 3, stride 1.
void conv_few_outputs(const ConvArgs& args, cudaStream_t stream);
void conv_few_inputs(const ConvArgs& args, cudaStream_t stream);

}  // namespace tempera::cuda
