// Loads and stores of tensors of any floating-point dtype, as floats in registers. One call moves eight neighbouring
// elements in accesses of 16 bytes. If the channels are not a multiple of eight, the same code moves one element at a
// time.
//
// The dtype is the same for a whole launch, so a test of it is a uniform branch, and one kernel serves all dtypes. But
// a branch around each load prevents several loads in flight. Kernels that need them are compiled once per dtype
// (with_type). They set the dtype again before they load, and the compiler removes the branches.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <type_traits>

#include "backend/cuda/kernels/kernels.h"

namespace tempera::cuda {

inline constexpr int kVector = 8;

template <int V>
struct Numbers {
  float v[V];
};

// Converts eight values of 16 bits.
template <DType T>
__device__ inline Numbers<kVector> unpack(const uint4& raw) {
  using Half = std::conditional_t<T == DType::f16, __half, __nv_bfloat16>;
  const auto* halves = reinterpret_cast<const Half*>(&raw);
  Numbers<kVector> out;
#pragma unroll
  for (int i = 0; i < kVector; ++i) out.v[i] = static_cast<float>(halves[i]);
  return out;
}

// Loads elements [at, at + V). With V == 8, `at` is a multiple of 8 and the tensor is aligned to 16 bytes.
template <int V>
__device__ inline Numbers<V> load(In in, int64_t at) {
  Numbers<V> out;
  if (in.type == DType::f32) {
    const float* p = static_cast<const float*>(in.data) + at;
    if constexpr (V == kVector) {
      const float4 a = reinterpret_cast<const float4*>(p)[0];
      const float4 b = reinterpret_cast<const float4*>(p)[1];
      out.v[0] = a.x, out.v[1] = a.y, out.v[2] = a.z, out.v[3] = a.w;
      out.v[4] = b.x, out.v[5] = b.y, out.v[6] = b.z, out.v[7] = b.w;
    } else {
      out.v[0] = *p;
    }
  } else if (in.type == DType::f16) {
    const __half* p = static_cast<const __half*>(in.data) + at;
    if constexpr (V == kVector) {
      out = unpack<DType::f16>(*reinterpret_cast<const uint4*>(p));
    } else {
      out.v[0] = __half2float(*p);
    }
  } else {
    const __nv_bfloat16* p = static_cast<const __nv_bfloat16*>(in.data) + at;
    if constexpr (V == kVector) {
      out = unpack<DType::bf16>(*reinterpret_cast<const uint4*>(p));
    } else {
      out.v[0] = __bfloat162float(*p);
    }
  }
  return out;
}

// Rounds to nearest even.
template <int V>
__device__ inline void store(Out to, int64_t at, const Numbers<V>& x) {
  if (to.type == DType::f32) {
    float* p = static_cast<float*>(to.data) + at;
    if constexpr (V == kVector) {
      reinterpret_cast<float4*>(p)[0] = make_float4(x.v[0], x.v[1], x.v[2], x.v[3]);
      reinterpret_cast<float4*>(p)[1] = make_float4(x.v[4], x.v[5], x.v[6], x.v[7]);
    } else {
      *p = x.v[0];
    }
  } else if (to.type == DType::f16) {
    __half* p = static_cast<__half*>(to.data) + at;
    if constexpr (V == kVector) {
      uint4 raw;
      auto* halves = reinterpret_cast<__half*>(&raw);
#pragma unroll
      for (int i = 0; i < V; ++i) halves[i] = __float2half_rn(x.v[i]);
      *reinterpret_cast<uint4*>(p) = raw;
    } else {
      *p = __float2half_rn(x.v[0]);
    }
  } else {
    __nv_bfloat16* p = static_cast<__nv_bfloat16*>(to.data) + at;
    if constexpr (V == kVector) {
      uint4 raw;
      auto* halves = reinterpret_cast<__nv_bfloat16*>(&raw);
#pragma unroll
      for (int i = 0; i < V; ++i) halves[i] = __float2bfloat16_rn(x.v[i]);
      *reinterpret_cast<uint4*>(p) = raw;
    } else {
      *p = __float2bfloat16_rn(x.v[0]);
    }
  }
}

// The elements that load() reads, without conversion. They need half the registers, for kernels that load many elements
// before they use them.
template <int V, DType T>
using Packed = std::conditional_t<V == kVector && T != DType::f32, uint4, Numbers<V>>;

template <int V, DType T>
__device__ inline Packed<V, T> load_packed(In in, int64_t at) {
  if constexpr (V == kVector && T != DType::f32) {
    return *reinterpret_cast<const uint4*>(static_cast<const uint16_t*>(in.data) + at);
  } else {
    in.type = T;
    return load<V>(in, at);
  }
}
template <int V, DType T>
__device__ inline Numbers<V> unpacked(const Packed<V, T>& x) {
  if constexpr (V == kVector && T != DType::f32) {
    return unpack<T>(x);
  } else {
    return x;
  }
}

__device__ inline float gelu(float x) {
  return 0.5f * x * (1 + erff(x * 0.70710678118654752f));
}

// x / (1 + exp(-steepness x)) with the fast exponential and division of the hardware. The error is a few units in the
// last place. With expf and / this function would limit the kernels that process pictures.
__device__ inline float silu(float x, float steepness) {
  return __fdividef(x, 1 + __expf(-steepness * x));
}

__device__ inline float apply(Activation kind, float x) {
  switch (kind) {
    case Activation::silu:
      return silu(x, 1);
    case Activation::gelu:
      return gelu(x);
    case Activation::quick_gelu:
      return silu(x, 1.702f);
    case Activation::relu:
      return fmaxf(x, 0);
    case Activation::tanh:
      return tanhf(x);
    default:
      return x;
  }
}

// Calls f with the dtype as a compile-time constant.
template <class F>
void with_type(DType type, const F& f) {
  if (type == DType::f32) return f(std::integral_constant<DType, DType::f32>());
  if (type == DType::f16) return f(std::integral_constant<DType, DType::f16>());
  f(std::integral_constant<DType, DType::bf16>());
}

inline unsigned blocks_for(int64_t n, int64_t each) {
  return static_cast<unsigned>((n + each - 1) / each);
}

// The sum over a warp, the same in every lane.
__device__ inline float warp_sum(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  return x;
}
__device__ inline float warp_max(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
  return x;
}

}  // namespace tempera::cuda
