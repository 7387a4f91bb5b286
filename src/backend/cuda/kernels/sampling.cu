// The ops around the model: small tensors, launched once a step. Coefficients come from the step vector in device
// memory, so that a captured step replays with new ones.
#include "backend/cuda/kernels/access.cuh"

namespace tempera::cuda {
namespace {

constexpr int kThreads = 256;

__device__ inline int64_t thread_index() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

// Frequencies and angles are rounded to f32 where diffusers rounds them (see the reference); the functions are computed
// in f64, a few thousand of them.
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

__global__ void model_input_kernel(const float* state, const float* step, Out out, int64_t n, int64_t batch) {
  const int64_t i = thread_index();
  if (i < n) store<1>(out, i, {state[i % batch] * step[StepLayout::kInputScale]});
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

struct Guided {
  In prediction;
  const float* step;
  int64_t pictures, elements;
  __device__ float conditional(int64_t picture, int64_t i) const {
    return load<1>(prediction, (pictures + picture) * elements + i).v[0];
  }
  __device__ float guided(int64_t picture, int64_t i) const {
    const float u = load<1>(prediction, picture * elements + i).v[0];
    return fmaf(step[StepLayout::kGuidanceScale], conditional(picture, i) - u, u);
  }
};

// Lin et al. 2023, equations 15 and 16. One block a picture: mean first, then the squares about it, in f64.
__global__ void __launch_bounds__(1024) rescale_kernel(Guided g, float* factors) {
  __shared__ double shared[32];
  const int64_t picture = blockIdx.x;
  double sum_c = 0, sum_g = 0;
  for (int64_t i = threadIdx.x; i < g.elements; i += 1024) {
    sum_c += g.conditional(picture, i);
    sum_g += g.guided(picture, i);
  }
  const double mean_c = block_sum(sum_c, shared) / static_cast<double>(g.elements);
  const double mean_g = block_sum(sum_g, shared) / static_cast<double>(g.elements);
  double squares_c = 0, squares_g = 0;
  for (int64_t i = threadIdx.x; i < g.elements; i += 1024) {
    const double c = g.conditional(picture, i) - mean_c, v = g.guided(picture, i) - mean_g;
    squares_c += c * c;
    squares_g += v * v;
  }
  squares_c = block_sum(squares_c, shared);
  squares_g = block_sum(squares_g, shared);
  const double amount = g.step[StepLayout::kGuidanceRescale];
  if (threadIdx.x == 0) factors[picture] = static_cast<float>(amount * sqrt(squares_c / squares_g) + (1 - amount));
}

__global__ void guidance_kernel(Guided g, const float* factors, float* out) {
  const int64_t i = thread_index();
  if (i >= g.pictures * g.elements) return;
  const int64_t picture = i / g.elements;
  out[i] = (factors == nullptr ? 1 : factors[picture]) * g.guided(picture, i % g.elements);
}

// Every slot of an element is read before any is written, so out may be state.
template <int S>
__global__ void update_kernel(const float* state, In prediction, const float* noise, const float* step, float* out,
                              int64_t slot) {
  const int64_t i = thread_index();
  if (i >= slot) return;
  float now[S];
#pragma unroll
  for (int j = 0; j < S; ++j) now[j] = state[j * slot + i];
  const float p = load<1>(prediction, i).v[0], z = noise[i];
#pragma unroll
  for (int k = 0; k < S; ++k) {
    const float* row = step + StepLayout::kUpdate + k * (S + 2);
    float sum = fmaf(row[S], p, row[S + 1] * z);
#pragma unroll
    for (int j = 0; j < S; ++j) sum = fmaf(row[j], now[j], sum);
    out[k * slot + i] = sum;
  }
}

// f32 as in diffusers: its result decides ties. A nan is black.
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

void model_input(const float* state, const float* step, Out out, int64_t n, int64_t batch_elements,
                 cudaStream_t stream) {
  model_input_kernel<<<blocks_for(n, kThreads), kThreads, 0, stream>>>(state, step, out, n, batch_elements);
}

void guidance(In prediction, const float* step, float* out, int64_t pictures, int64_t picture_elements, bool rescale,
              float* factors, cudaStream_t stream) {
  const Guided g{prediction, step, pictures, picture_elements};
  if (rescale) rescale_kernel<<<static_cast<unsigned>(pictures), 1024, 0, stream>>>(g, factors);
  guidance_kernel<<<blocks_for(pictures * picture_elements, kThreads), kThreads, 0, stream>>>(
      g, rescale ? factors : nullptr, out);
}

void sampler_update(const float* state, In prediction, const float* noise, const float* step, float* out, int slots,
                    int64_t slot_elements, cudaStream_t stream) {
  const auto run = [&](auto kernel) {
    kernel<<<blocks_for(slot_elements, kThreads), kThreads, 0, stream>>>(state, prediction, noise, step, out,
                                                                         slot_elements);
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

void to_rgb8(In x, uint8_t* out, int64_t n, cudaStream_t stream) {
  rgb8_kernel<<<blocks_for(n, kThreads), kThreads, 0, stream>>>(x, out, n);
}

}  // namespace tempera::cuda
