// Matrix products of a warpgroup (wgmma): 64 x N sums in registers += A (64 x 16) B^T (N x 16). Both operands are in
// shared memory, or A is in registers.
//
// Operands in shared memory have the layout of boxes that the copy engine writes, 64 halves (128 bytes) a row with the
// 128-byte swizzle: row r at byte 128 r, its 16-byte chunk c at chunk c ^ (r % 8), from addresses that are multiples of
// 1024. The next 16 halves of K are 32 bytes further on. The hardware swizzles address bits, so an operand may start
// inside the first row of the pattern.
//
// Sums (PTX ISA): warp w of the group holds rows 16 w to 16 w + 15. sums[4 j + i] of lane l is row l / 4 + 8 (i / 2),
// column 8 j + 2 (l % 4) + i % 2.
#pragma once

#include "backend/cuda/kernels/hopper.cuh"

namespace tempera::cuda {

// The descriptor of an operand (PTX ISA):
//    bits 0 to 13   start address / 16
//    bits 16 to 29  leading dimension offset, not used with a swizzle
//    bits 32 to 45  distance of groups of eight rows, 1024 bytes, / 16
//    bits 62 to 63  1: 128-byte swizzle
__device__ inline uint64_t matrix_descriptor(uint32_t address) {
  return static_cast<uint64_t>((address & 0x3ffff) >> 4) | (uint64_t{1} << 16) | (uint64_t{1024 >> 4} << 32) |
         (uint64_t{1} << 62);
}

// Needed before the first product, and after other instructions accessed the sums.
__device__ inline void products_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ inline void products_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Waits until at most Pending committed groups are not complete.
template <int Pending>
__device__ inline void products_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}
// Prevents the compiler from moving uses of the sums across this line.
template <int N>
__device__ inline void pin(float (&sums)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) asm volatile("" : "+f"(sums[i])::"memory");
}

// multiply_add<T, N>(sums, a, b, add): sums = a b^T, plus the old sums if `add` is not 0.
template <class T, int N>
struct Wgmma;

#define TEMPERA_F4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define TEMPERA_F16(i) TEMPERA_F4(i), TEMPERA_F4(i + 4), TEMPERA_F4(i + 8), TEMPERA_F4(i + 12)
#define TEMPERA_F32 TEMPERA_F16(0), TEMPERA_F16(16)
#define TEMPERA_F40 TEMPERA_F32, TEMPERA_F4(32), TEMPERA_F4(36)
#define TEMPERA_F64 TEMPERA_F32, TEMPERA_F16(32), TEMPERA_F16(48)
#define TEMPERA_F80 TEMPERA_F64, TEMPERA_F16(64)
#define TEMPERA_F96 TEMPERA_F80, TEMPERA_F16(80)
#define TEMPERA_F128 TEMPERA_F96, TEMPERA_F16(96), TEMPERA_F16(112)
#define TEMPERA_R32                                                                                                \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, " \
  "%24, %25, %26, %27, %28, %29, %30, %31"
#define TEMPERA_R40 TEMPERA_R32 ", %32, %33, %34, %35, %36, %37, %38, %39"
#define TEMPERA_R64                                                                                                  \
  TEMPERA_R40                                                                                                        \
  ", %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, " \
  "%62, %63"
#define TEMPERA_R80 \
  TEMPERA_R64       \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define TEMPERA_R96 \
  TEMPERA_R80       \
  ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define TEMPERA_R128                                                                                                 \
  TEMPERA_R96                                                                                                        \
  ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, %112, %113, %114, " \
  "%115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define TEMPERA_WGMMA(T, TYPE, N, SUMS, A, B, ADD)                                                      \
  template <>                                                                                           \
  struct Wgmma<T, N> {                                                                                  \
    static __device__ void multiply_add(float (&d)[N / 2], uint64_t a, uint64_t b, int add) {           \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " ADD                                              \
                   ", 0;\n"                                                                             \
                   "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." TYPE "." TYPE " {" TEMPERA_R##SUMS \
                   "}, " A ", " B ", p, 1, 1, 0, 0;\n}"                                                 \
                   : TEMPERA_F##SUMS                                                                    \
                   : "l"(a), "l"(b), "r"(add));                                                         \
    }                                                                                                   \
  };
#define TEMPERA_WGMMA_BOTH(N, SUMS, A, B, ADD)     \
  TEMPERA_WGMMA(__half, "f16", N, SUMS, A, B, ADD) \
  TEMPERA_WGMMA(__nv_bfloat16, "bf16", N, SUMS, A, B, ADD)

TEMPERA_WGMMA_BOTH(64, 32, "%32", "%33", "%34")
TEMPERA_WGMMA_BOTH(80, 40, "%40", "%41", "%42")
TEMPERA_WGMMA_BOTH(128, 64, "%64", "%65", "%66")
TEMPERA_WGMMA_BOTH(160, 80, "%80", "%81", "%82")
TEMPERA_WGMMA_BOTH(192, 96, "%96", "%97", "%98")
TEMPERA_WGMMA_BOTH(256, 128, "%128", "%129", "%130")

// sums (64 x 64) += A (64 x 16) B (16 x 64). A is in registers: warp w has rows 16 w to 16 w + 15 as fragments of
// mma.m16n8k16. B is in shared memory: 16 rows of 64 halves, swizzled.
template <class T>
struct WgmmaRegisters;

#define TEMPERA_WGMMA_REGISTERS(T, TYPE)                                                        \
  template <>                                                                                   \
  struct WgmmaRegisters<T> {                                                                    \
    static __device__ void multiply_add(float (&d)[32], const uint32_t* a, uint64_t b) {        \
      asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32." TYPE "." TYPE " {" TEMPERA_R32 \
                   "}, {%32, %33, %34, %35}, %36, 1, 1, 1, 1;"                                  \
                   : TEMPERA_F32                                                                \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));                       \
    }                                                                                           \
  };
TEMPERA_WGMMA_REGISTERS(__half, "f16")
TEMPERA_WGMMA_REGISTERS(__nv_bfloat16, "bf16")

// sums (64 x N) += A (64 x 8) B^T (N x 8) of TF32, which is f32 without the last 13 bits, or sums = A B^T if `add` is
// 0. A is in registers: a[0] of lane l is row l / 4, column l % 4 of its warp's 16 rows, a[1] is eight rows below, a[2]
// and a[3] are four columns to the right.
template <int N>
struct WgmmaTf32;

#define TEMPERA_WGMMA_TF32(N, SUMS, A, B, ADD)                                                                  \
  template <>                                                                                                   \
  struct WgmmaTf32<N> {                                                                                         \
    static __device__ void multiply_add(float (&d)[N / 2], const uint32_t* a, uint64_t b, int add) {            \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " ADD                                                      \
                   ", 0;\n"                                                                                     \
                   "wgmma.mma_async.sync.aligned.m64n" #N "k8.f32.tf32.tf32 {" TEMPERA_R##SUMS "}, {" A "}, " B \
                                                                                               ", p, 1, 1;\n}"  \
                   : TEMPERA_F##SUMS                                                                            \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add));                             \
    }                                                                                                           \
  };
TEMPERA_WGMMA_TF32(128, 64, "%64, %65, %66, %67", "%68", "%69")
TEMPERA_WGMMA_TF32(160, 80, "%80, %81, %82, %83", "%84", "%85")

#undef TEMPERA_WGMMA_TF32
#undef TEMPERA_WGMMA_REGISTERS
#undef TEMPERA_WGMMA_BOTH
#undef TEMPERA_WGMMA
#undef TEMPERA_F4
#undef TEMPERA_F16
#undef TEMPERA_F32
#undef TEMPERA_F40
#undef TEMPERA_F64
#undef TEMPERA_F80
#undef TEMPERA_F96
#undef TEMPERA_F128
#undef TEMPERA_R32
#undef TEMPERA_R40
#undef TEMPERA_R64
#undef TEMPERA_R80
#undef TEMPERA_R96
#undef TEMPERA_R128

}  // namespace tempera::cuda
