// Attention without a score matrix (Dao 2023, FlashAttention-2) on mma.sync tensor core instructions, f16 and bf16 with
// sums in f32. A warp computes 16 queries and keeps their running maximum, sum and output in registers. Tiles of keys
// and values are copied to shared memory; the next tile is copied while the current one is used.
//
// Two neighbouring tiles of scores, packed to 16 bits, have the layout of operand A of the second product (mma.cuh).
#include "backend/cuda/kernels/access.cuh"
#include "backend/cuda/kernels/mma.cuh"

namespace tempera::cuda {
namespace {

// Like load_matrices(), with each matrix transposed.
__device__ inline void load_transposed(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
// Copies 16 bytes to shared memory, or writes zeros if `valid` is false. `from` must be readable only if `valid`.
__device__ inline void copy_async(uint32_t to, const void* from, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid ? 16 : 0) : "memory");
}

// A tile of K or V: `Keys` rows of `Dim` halves in chunks of 8. The chunks are permuted so that the eight rows of a
// matrix are in different banks.
template <int Dim, int Keys>
struct Tile {
  static constexpr int kChunks = Dim / 8, kBytes = Dim * Keys * 2;
  static __device__ uint32_t at(uint32_t base, int row, int chunk) {
    const int place = kChunks >= 8 ? chunk ^ (row & 7) : chunk ^ (row >> 1 & 3);
    return base + static_cast<uint32_t>((row * kChunks + place) * 16);
  }
};

// Dim: the channels of a head, rounded up. Channels from a.dim on are zeros.
template <class T, int Dim, int Warps, int Keys>
struct Flash {
  using Shape = Tile<Dim, Keys>;
  static constexpr int kThreads = Warps * 32, kQueries = Warps * 16;

  const FlashArgs& a;
  const T *q, *k, *v;
  T* out;
  int lane, query;  // query: the first one of this warp

  static __device__ Flash make(const FlashArgs& a) {
    const int64_t picture = blockIdx.z, head = static_cast<int64_t>(blockIdx.y) * a.dim;
    return {a,
            static_cast<const T*>(a.q) + picture * a.queries * a.q_stride + head,
            static_cast<const T*>(a.k) + picture * a.keys * a.kv_stride + head,
            static_cast<const T*>(a.v) + picture * a.keys * a.kv_stride + head,
            static_cast<T*>(a.out) + picture * a.queries * a.out_stride + head,
            static_cast<int>(threadIdx.x % 32),
            static_cast<int>(blockIdx.x) * kQueries + static_cast<int>(threadIdx.x / 32) * 16};
  }

  __device__ void copy_tile(uint32_t to, const T* from, int first_key) const {
    for (int i = static_cast<int>(threadIdx.x); i < Keys * Shape::kChunks; i += kThreads) {
      const int row = i / Shape::kChunks, chunk = i % Shape::kChunks;
      const bool valid = first_key + row < a.keys && chunk * 8 < a.dim;
      copy_async(Shape::at(to, row, chunk), valid ? from + (first_key + row) * a.kv_stride + chunk * 8 : from, valid);
    }
  }

  __device__ uint32_t query_pair(int row, int channel) const {
    if (row >= a.queries || channel >= a.dim) return 0;
    return *reinterpret_cast<const uint32_t*>(q + row * a.q_stride + channel);
  }
  __device__ void load_queries(uint32_t (&fragments)[Dim / 16][4]) const {
    const int row = query + lane / 4, channel = lane % 4 * 2;
#pragma unroll
    for (int d = 0; d < Dim / 16; ++d)
#pragma unroll
      for (int i = 0; i < 4; ++i) fragments[d][i] = query_pair(row + i % 2 * 8, d * 16 + channel + i / 2 * 8);
  }

  // scores (16 queries, Keys) = q k^T.
  __device__ void products(float (&scores)[Keys / 8][4], const uint32_t (&queries)[Dim / 16][4], uint32_t tile) const {
#pragma unroll
    for (int n = 0; n < Keys / 8; n += 2) {
#pragma unroll
      for (int i = 0; i < 4; ++i) scores[n][i] = scores[n + 1][i] = 0;
#pragma unroll
      for (int d = 0; d < Dim / 16; ++d) {
        uint32_t b[4];
        load_matrices(b, Shape::at(tile, n * 8 + lane / 16 * 8 + lane % 8, d * 2 + lane / 8 % 2));
        Half<T>::mma(scores[n], queries[d], b[0], b[1]);
        Half<T>::mma(scores[n + 1], queries[d], b[2], b[3]);
      }
    }
  }

  // Multiplies scores by scale / ln 2. Masked keys and keys past the end get minus infinity.
  __device__ void scale_and_mask(float (&scores)[Keys / 8][4], int first_key) const {
    const float factor = a.scale * 1.4426950408889634f;
    const bool edge = first_key + Keys > a.keys || (a.causal && first_key + Keys > query);
#pragma unroll
    for (int n = 0; n < Keys / 8; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int key = first_key + n * 8 + lane % 4 * 2 + i % 2, row = query + lane / 4 + i / 2 * 8;
        const bool seen = !edge || (key < a.keys && (!a.causal || key <= row));
        scores[n][i] = seen ? scores[n][i] * factor : -INFINITY;
      }
  }

  // Replaces scores by exponentials relative to the new maxima, and rescales the sums and outputs so far to these
  // maxima.
  __device__ void soften(float (&scores)[Keys / 8][4], float (&maximum)[2], float (&sum)[2],
                         float (&output)[Dim / 8][4]) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {  // rows g and g + 8
      float largest = maximum[half];
#pragma unroll
      for (int n = 0; n < Keys / 8; ++n) largest = fmaxf(largest, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
      const float correction = exp2f(maximum[half] - largest);  // 0 in the first tile
      maximum[half] = largest;
      sum[half] *= correction;
#pragma unroll
      for (int n = 0; n < Keys / 8; ++n)
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          scores[n][i] = exp2f(scores[n][i] - largest);
          sum[half] += scores[n][i];
        }
#pragma unroll
      for (int d = 0; d < Dim / 8; ++d) {
        output[d][2 * half] *= correction;
        output[d][2 * half + 1] *= correction;
      }
    }
  }

  // output (16 queries, Dim) += weights v.
  __device__ void accumulate(float (&output)[Dim / 8][4], const float (&weights)[Keys / 8][4], uint32_t tile) const {
#pragma unroll
    for (int s = 0; s < Keys / 16; ++s) {
      const float(&low)[4] = weights[2 * s], (&high)[4] = weights[2 * s + 1];
      const uint32_t p[4] = {Half<T>::pack(low[0], low[1]), Half<T>::pack(low[2], low[3]),
                             Half<T>::pack(high[0], high[1]), Half<T>::pack(high[2], high[3])};
#pragma unroll
      for (int d = 0; d < Dim / 8; d += 2) {
        uint32_t b[4];
        load_transposed(b, Shape::at(tile, s * 16 + lane / 8 % 2 * 8 + lane % 8, d + lane / 16));
        Half<T>::mma(output[d], p, b[0], b[1]);
        Half<T>::mma(output[d + 1], p, b[2], b[3]);
      }
    }
  }

  __device__ void write(const float (&output)[Dim / 8][4], float (&sum)[2]) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      sum[half] += __shfl_xor_sync(0xffffffffu, sum[half], 1);
      sum[half] += __shfl_xor_sync(0xffffffffu, sum[half], 2);
      const float inverse = 1 / sum[half];
      const int row = query + lane / 4 + half * 8;
      if (row >= a.queries) continue;
#pragma unroll
      for (int d = 0; d < Dim / 8; ++d) {
        const int channel = d * 8 + lane % 4 * 2;
        if (channel < a.dim)
          *reinterpret_cast<uint32_t*>(out + row * a.out_stride + channel) =
              Half<T>::pack(output[d][2 * half] * inverse, output[d][2 * half + 1] * inverse);
      }
    }
  }
};

// With at most 64 channels, a multiprocessor runs two blocks of eight warps or four of four. With 128 channels, a
// thread needs more registers.
template <class T, int Dim, int Warps, int Keys>
__global__ void __launch_bounds__(Warps * 32, Dim <= 64 ? 16 / Warps : 2) flash_kernel(const FlashArgs args) {
  using F = Flash<T, Dim, Warps, Keys>;
  constexpr uint32_t kTile = F::Shape::kBytes;
  __shared__ alignas(128) unsigned char shared[4 * kTile];  // two stages of K and V
  const auto tiles = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const F f = F::make(args);

  uint32_t queries[Dim / 16][4];
  f.load_queries(queries);
  float output[Dim / 8][4] = {}, maximum[2] = {-INFINITY, -INFINITY}, sum[2] = {};

  // Keys after the last query of the block are masked, so they are not loaded.
  const int last_query = (static_cast<int>(blockIdx.x) + 1) * F::kQueries;
  const int end = args.causal && last_query < args.keys ? last_query : args.keys;
  const auto copy_stage = [&](int tile) {
    const uint32_t stage = tiles + static_cast<uint32_t>(tile % 2) * 2 * kTile;
    f.copy_tile(stage, f.k, tile * Keys);
    f.copy_tile(stage + kTile, f.v, tile * Keys);
  };
  copy_stage(0);
  asm volatile("cp.async.commit_group;" ::: "memory");
  for (int tile = 0; tile * Keys < end; ++tile) {
    if ((tile + 1) * Keys < end) copy_stage(tile + 1);
    asm volatile("cp.async.commit_group;" ::: "memory");  // may be empty, so that wait_group 1 waits for this tile
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncthreads();
    const uint32_t stage = tiles + static_cast<uint32_t>(tile % 2) * 2 * kTile;
    float scores[Keys / 8][4];
    f.products(scores, queries, stage);
    f.scale_and_mask(scores, tile * Keys);
    f.soften(scores, maximum, sum, output);
    f.accumulate(output, scores, stage + kTile);
    __syncthreads();  // all warps have used the stage
  }
  f.write(output, sum);
}

template <class T, int Dim, int Warps, int Keys>
void run(const FlashArgs& a, cudaStream_t stream) {
  const dim3 grid(blocks_for(a.queries, Warps * 16), static_cast<unsigned>(a.heads), static_cast<unsigned>(a.pictures));
  flash_kernel<T, Dim, Warps, Keys><<<grid, Warps * 32, 0, stream>>>(a);
}

// With these sizes, two stages need at most 32 KiB, and the values of a thread fit into its registers.
template <class T>
void run(const FlashArgs& a, cudaStream_t stream) {
  if (a.dim <= 32) return run<T, 32, 4, 64>(a, stream);
  if (a.dim <= 64) return run<T, 64, 8, 64>(a, stream);
  run<T, 128, 4, 32>(a, stream);
}

}  // namespace

void attention_flash(const FlashArgs& args, cudaStream_t stream) {
  if (args.type == DType::f16) return run<__half>(args, stream);
  run<__nv_bfloat16>(args, stream);
}

}  // namespace tempera::cuda
