// Ops that move bytes: in units of 16 bytes if the rows are multiples of that, else of four, two or one.
#include "backend/cuda/kernels/access.cuh"

namespace tempera::cuda {
namespace {

constexpr int kThreads = 256;

// Output unit i is source.at(i).
template <class Unit, class Source>
__global__ void __launch_bounds__(kThreads) move_kernel(int64_t n, Unit* out, Source source) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < n) out[i] = source.template at<Unit>(i);
}

template <class Unit, class Source>
void move(int64_t bytes, void* out, const Source& source, cudaStream_t stream) {
  const int64_t n = bytes / static_cast<int64_t>(sizeof(Unit));
  if (n > 0)
    move_kernel<Unit>
        <<<blocks_for(n, kThreads), kThreads, 0, stream>>>(n, static_cast<Unit*>(out), source.in_units(sizeof(Unit)));
}

// Moves in the largest unit that divides `granularity`.
template <class Source>
void move(int64_t bytes, int64_t granularity, void* out, const Source& source, cudaStream_t stream) {
  if (granularity % 16 == 0) return move<uint4>(bytes, out, source, stream);
  if (granularity % 4 == 0) return move<uint32_t>(bytes, out, source, stream);
  if (granularity % 2 == 0) return move<uint16_t>(bytes, out, source, stream);
  move<uint8_t>(bytes, out, source, stream);
}

// Members are in bytes before in_units(), in units after it.
struct ConcatSource {
  const void *a, *b;
  int64_t a_width, b_width;
  ConcatSource in_units(int64_t unit) const { return {a, b, a_width / unit, b_width / unit}; }
  template <class Unit>
  __device__ Unit at(int64_t i) const {
    const int64_t row = i / (a_width + b_width), column = i % (a_width + b_width);
    return column < a_width ? static_cast<const Unit*>(a)[row * a_width + column]
                            : static_cast<const Unit*>(b)[row * b_width + column - a_width];
  }
};

struct UpsampleSource {
  const void* x;
  int64_t in_height, in_width, out_height, out_width, pixel;
  UpsampleSource in_units(int64_t unit) const { return {x, in_height, in_width, out_height, out_width, pixel / unit}; }
  template <class Unit>
  __device__ Unit at(int64_t i) const {
    const int64_t channel = i % pixel, column = i / pixel % out_width, row = i / pixel / out_width;
    const int64_t from = (row / out_height * in_height + row % out_height / 2) * in_width + column / 2;
    return static_cast<const Unit*>(x)[from * pixel + channel];
  }
};

struct GatherSource {
  const void* x;
  const int32_t* ids;
  int64_t width, stride, limit;
  GatherSource in_units(int64_t unit) const { return {x, ids, width / unit, stride, limit}; }
  template <class Unit>
  __device__ Unit at(int64_t i) const {
    const int64_t row = i / width, wanted = ids[row];
    const int64_t id = wanted < 0 ? 0 : wanted < limit ? wanted : limit - 1;
    return static_cast<const Unit*>(x)[(row * stride + id) * width + i % width];
  }
};

struct GatherOfTwoSource {
  const void *a, *b;
  const int32_t* ids;
  int64_t width, in_a, limit;
  GatherOfTwoSource in_units(int64_t unit) const { return {a, b, ids, width / unit, in_a, limit}; }
  template <class Unit>
  __device__ Unit at(int64_t i) const {
    const int64_t wanted = ids[i / width], column = i % width;
    const int64_t id = wanted < 0 ? 0 : wanted < limit ? wanted : limit - 1;
    return id < in_a ? static_cast<const Unit*>(a)[id * width + column]
                     : static_cast<const Unit*>(b)[(id - in_a) * width + column];
  }
};

// The bytes [0, head), then all bytes.
struct BranchSource {
  const void* x;
  int64_t head;
  BranchSource in_units(int64_t unit) const { return {x, head / unit}; }
  template <class Unit>
  __device__ Unit at(int64_t i) const {
    return static_cast<const Unit*>(x)[i < head ? i : i - head];
  }
};

}  // namespace

void concat(const void* a, const void* b, void* out, int64_t rows, int64_t a_bytes, int64_t b_bytes,
            cudaStream_t stream) {
  move(rows * (a_bytes + b_bytes), a_bytes | b_bytes, out, ConcatSource{a, b, a_bytes, b_bytes}, stream);
}

void upsample2x(const void* x, void* out, int64_t pictures, int64_t in_height, int64_t in_width, int64_t out_height,
                int64_t out_width, int64_t pixel_bytes, cudaStream_t stream) {
  move(pictures * out_height * out_width * pixel_bytes, pixel_bytes, out,
       UpsampleSource{x, in_height, in_width, out_height, out_width, pixel_bytes}, stream);
}

void branch_rows(const void* x, void* out, int64_t rows, int64_t row_bytes, int64_t guided, cudaStream_t stream) {
  move((guided + rows) * row_bytes, row_bytes, out, BranchSource{x, guided * row_bytes}, stream);
}

void gather(const void* x, const int32_t* ids, void* out, int64_t rows, int64_t row_bytes, int64_t stride,
            int64_t limit, cudaStream_t stream) {
  move(rows * row_bytes, row_bytes, out, GatherSource{x, ids, row_bytes, stride, limit}, stream);
}

void gather_of_two(const void* a, const void* b, const int32_t* ids, void* out, int64_t rows, int64_t row_bytes,
                   int64_t in_a, int64_t limit, cudaStream_t stream) {
  move(rows * row_bytes, row_bytes, out, GatherOfTwoSource{a, b, ids, row_bytes, in_a, limit}, stream);
}

}  // namespace tempera::cuda
