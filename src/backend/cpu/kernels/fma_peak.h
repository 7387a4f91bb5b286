// The arithmetic ceiling of this machine at this moment, for benchmarks: clocks move, so a share of the peak is only
// worth something when both were measured side by side.
#pragma once

namespace tempera {

enum class PeakKind {
  f32,   // fused multiply-adds on the widest f32 vectors there are
  bf16,  // products of bf16 pairs (AVX-512 BF16); as f32 where the machine lacks them
};

// GFLOP/s of all threads together, multiply and add counted apart, measured for about `milliseconds`. 0 where neither
// AVX2 nor AVX-512 is there.
double measure_fma_peak(PeakKind kind, double milliseconds);

// Seconds on the wall, or, with one thread, of processor time: on a machine that is busy with other work, one thread's
// processor time still says what the code can do.
double bench_seconds();

// "AVX2 f32", "AVX-512 bf16", ...: what measure_fma_peak(kind) runs here.
const char* fma_peak_name(PeakKind kind);

}  // namespace tempera
