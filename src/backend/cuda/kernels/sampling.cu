// The ops before and after the model: small tensors, launched once a step. Coefficients are read from the rows of step
// in device memory, one row per picture, so that the graph of a captured step can be replayed with new ones.
#include "backend/cuda/kernels/access.cuh"

namespace tempera::cuda {
namespace {

constexpr int kThreads = 256;

__device__ inline int64_t thread_index() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

// Frequencies and angles are rounded to f32 where diffusers rounds them (see the reference backend). The functions are
// computed in f64; there are only a few thousand values.
__global__ void timestep_kernel(const float* x, float* out, int64_t n, int dim, bool flip, float freq_shift) {
  const int64_t i = thread_index();
  const int half = dim / 2;
  if (i >= n * half) return;
  const int64_t row = i / half;
  const int k = static_cast<int>(i % half);
  const auto log_period = static_cast<float>(-9.210340371976184);  // -ln 10000
  const float exponent = log_period * static_cast<float>(k) / (static_cast<float>(half) - freq_shift);
  const float angle = x[row] * static_cast<float>(exp(static_cast<double>(exponent)));
  const auto sine = static_cast<float>(sin(static_cast<double>(angle)));
  const auto cosine = static_cast<float>(cos(static_cast<double>(angle)));
  out[row * dim + k] = flip ? cosine : sine;
  out[row * dim + half + k] = flip ? sine : cosine;
}

// Row r of the batch is the negative branch of picture r if r < guided, else picture r - guided.
__global__ void model_input_kernel(const float* state, StepRows step, Out out, int64_t rows, int64_t guided, int slots,
                                   int64_t elements) {
  const int64_t i = thread_index();
  if (i >= rows * elements) return;
  const int64_t row = i / elements, picture = row < guided ? row : row - guided;
  const float x = state[picture * slots * elements + i - row * elements];
  store<1>(out, i, {x * step.data[picture * step.length + StepLayout::kInputScale]});
}

// The sum over a block of 1024 threads, the same in every thread. `shared` has room for 32 numbers.
__device__ double block_sum(double x, double* shared) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  double sum = 0;
  for (int w = 0; w < 32; ++w) sum += shared[w];
  return sum;
}

__device__ inline float coefficient(const StepRows& step, int64_t picture, int index) {
  return step.data[picture * step.length + index];
}

__device__ inline float conditional(const GuidanceArgs& args, int64_t picture, int64_t i) {
  return load<1>(args.prediction, (args.guided + picture) * args.elements + i).v[0];
}

// The guided prediction of a picture, one of the first `guided`, with its guidance scale.
__device__ inline float guided(const GuidanceArgs& args, int64_t picture, int64_t i, float scale) {
  const float u = load<1>(args.prediction, picture * args.elements + i).v[0];
  return fmaf(scale, conditional(args, picture, i) - u, u);
}

// Lin et al. 2023, equations 15 and 16. One block per guided picture: the mean, then the squares about it, in f64.
__global__ void __launch_bounds__(1024) rescale_kernel(GuidanceArgs args) {
  __shared__ double shared[32];
  const int64_t picture = blockIdx.x;
  const double amount = coefficient(args.step, picture, StepLayout::kGuidanceRescale);
  if (amount == 0) {  // the same in every thread; deviations may be 0 here
    if (threadIdx.x == 0) args.factors[picture] = 1;
    return;
  }
  const float scale = coefficient(args.step, picture, StepLayout::kGuidanceScale);
  const auto elements = static_cast<double>(args.elements);
  double sum_c = 0, sum_g = 0;
  for (int64_t i = threadIdx.x; i < args.elements; i += 1024) {
    sum_c += conditional(args, picture, i);
    sum_g += guided(args, picture, i, scale);
  }
  const double mean_c = block_sum(sum_c, shared) / elements;
  const double mean_g = block_sum(sum_g, shared) / elements;
  double squares_c = 0, squares_g = 0;
  for (int64_t i = threadIdx.x; i < args.elements; i += 1024) {
    const double c = conditional(args, picture, i) - mean_c, v = guided(args, picture, i, scale) - mean_g;
    squares_c += c * c;
    squares_g += v * v;
  }
  squares_c = block_sum(squares_c, shared);
  squares_g = block_sum(squares_g, shared);
  if (threadIdx.x == 0) args.factors[picture] = static_cast<float>(amount * sqrt(squares_c / squares_g) + (1 - amount));
}

__global__ void guidance_kernel(GuidanceArgs args) {
  const int64_t at = thread_index();
  if (at >= args.pictures * args.elements) return;
  const int64_t picture = at / args.elements, i = at - picture * args.elements;
  if (picture >= args.guided) {
    args.out[at] = conditional(args, picture, i);
    return;
  }
  const float scale = coefficient(args.step, picture, StepLayout::kGuidanceScale);
  args.out[at] = (args.factors == nullptr ? 1 : args.factors[picture]) * guided(args, picture, i, scale);
}

// All slots of an element are read before one is written, so out may be state.
template <int S>
__global__ void update_kernel(const float* state, In prediction, const float* noise, StepRows step, float* out,
                              int64_t pictures, int64_t slot) {
  const int64_t i = thread_index();
  if (i >= pictures * slot) return;
  const int64_t picture = i / slot, first = picture * S * slot + i - picture * slot;
  float now[S];
#pragma unroll
  for (int j = 0; j < S; ++j) now[j] = state[first + j * slot];
  const float p = load<1>(prediction, i).v[0], z = noise[i];
  const float* matrix = step.data + picture * step.length + StepLayout::kUpdate;
#pragma unroll
  for (int k = 0; k < S; ++k) {
    const float* row = matrix + k * (S + 2);
    float sum = fmaf(row[S], p, row[S + 1] * z);
#pragma unroll
    for (int j = 0; j < S; ++j) sum = fmaf(row[j], now[j], sum);
    // A picture's sampler may have fewer slots than S. The zeros of the other slots do not change a sum, unless it is
    // -0. Adding 0 turns -0 into 0 for any number of slots.
    out[first + k * slot] = sum + 0.0f;
  }
}

// One thread for an element of a slot.
__global__ void blend_kernel(BlendArgs args) {
  const int64_t at = thread_index();
  if (at >= args.pictures * args.elements) return;
  const int64_t picture = at / args.elements, first = picture * args.slots * args.elements + at % args.elements;
  const bool kept = args.mask[at / args.channels] < coefficient(args.step, picture, StepLayout::kBlendThreshold);
  const float signal = coefficient(args.step, picture, StepLayout::kBlendSignal);
  const float amount = coefficient(args.step, picture, StepLayout::kBlendNoise);
  args.out[first] = kept ? fmaf(signal, args.original[at], amount * args.noise[at]) : args.state[first];
  for (int64_t k = 1; k < args.slots; ++k) args.out[first + k * args.elements] = args.state[first + k * args.elements];
}

// In f32 as in diffusers, whose f32 result decides ties. NaN becomes black.
__global__ void rgb8_kernel(In x, uint8_t* out, int64_t n) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const float half = load<1>(x, i).v[0] / 2 + 0.5f;
  const float unit = half > 0 ? fminf(half, 1) : 0;
  out[i] = static_cast<uint8_t>(rintf(unit * 255));
}

}  // namespace

void timestep_embedding(const float* x, float* out, int64_t n, int dim, bool flip, float freq_shift,
                        cudaStream_t stream) {
  timestep_kernel<<<blocks_for(n * (dim / 2), kThreads), kThreads, 0, stream>>>(x, out, n, dim, flip, freq_shift);
}

void model_input(const float* state, StepRows step, Out out, int64_t pictures, int64_t guided, int slots,
                 int64_t elements, cudaStream_t stream) {
  const int64_t rows = guided + pictures;
  model_input_kernel<<<blocks_for(rows * elements, kThreads), kThreads, 0, stream>>>(state, step, out, rows, guided,
                                                                                     slots, elements);
}

void guidance(const GuidanceArgs& args, cudaStream_t stream) {
  if (args.factors != nullptr) rescale_kernel<<<static_cast<unsigned>(args.guided), 1024, 0, stream>>>(args);
  guidance_kernel<<<blocks_for(args.pictures * args.elements, kThreads), kThreads, 0, stream>>>(args);
}

void sampler_update(const float* state, In prediction, const float* noise, StepRows step, float* out, int64_t pictures,
                    int slots, int64_t elements, cudaStream_t stream) {
  const auto run = [&](auto kernel) {
    kernel<<<blocks_for(pictures * elements, kThreads), kThreads, 0, stream>>>(state, prediction, noise, step, out,
                                                                               pictures, elements);
  };
  switch (slots) {
    case 1:
      return run(update_kernel<1>);
    case 2:
      return run(update_kernel<2>);
    case 3:
      return run(update_kernel<3>);
    case 4:
      return run(update_kernel<4>);
    case 5:
      return run(update_kernel<5>);
    case 6:
      return run(update_kernel<6>);
    case 7:
      return run(update_kernel<7>);
    default:
      return run(update_kernel<8>);
  }
}

void blend_mask(const BlendArgs& args, cudaStream_t stream) {
  blend_kernel<<<blocks_for(args.pictures * args.elements, kThreads), kThreads, 0, stream>>>(args);
}

void to_rgb8(In x, uint8_t* out, int64_t n, cudaStream_t stream) {
  rgb8_kernel<<<blocks_for(n, kThreads), kThreads, 0, stream>>>(x, out, n);
}

}  // namespace tempera::cuda
