// Elementwise ops. Each is a functor; map() runs it on vectors of eight elements if the tensor allows that. All are
// limited by memory bandwidth.
#include "backend/cuda/kernels/access.cuh"

namespace tempera::cuda {
namespace {

constexpr int kThreads = 256;

template <int V, class F>
__global__ void __launch_bounds__(kThreads) map_kernel(int64_t n, F f) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * V;
  if (i < n) f.template at<V>(i);
}

// Calls f.at<V>(i) for i = 0, V, 2 V, ... below n. `vectors`: n, and the sizes in f's index arithmetic, are multiples
// of 8.
template <class F>
void map(int64_t n, bool vectors, const F& f, cudaStream_t stream) {
  if (n == 0) return;
  if (vectors) {
    map_kernel<kVector><<<blocks_for(n, kThreads * kVector), kThreads, 0, stream>>>(n, f);
  } else {
    map_kernel<1><<<blocks_for(n, kThreads), kThreads, 0, stream>>>(n, f);
  }
}

struct ActivateOp {
  Activation kind;
  In x;
  Out out;
  template <int V>
  __device__ void at(int64_t i) const {
    Numbers<V> y = load<V>(x, i);
#pragma unroll
    for (int k = 0; k < V; ++k) y.v[k] = apply(kind, y.v[k]);
    store<V>(out, i, y);
  }
};

struct ScaleOp {
  float factor, offset;
  In x;
  Out out;
  template <int V>
  __device__ void at(int64_t i) const {
    Numbers<V> y = load<V>(x, i);
#pragma unroll
    for (int k = 0; k < V; ++k) y.v[k] = fmaf(factor, y.v[k], offset);
    store<V>(out, i, y);
  }
};

struct ChannelScaleOp {
  ChannelScales scales;
  In x;
  Out out;
  template <int V>
  __device__ void at(int64_t i) const {
    Numbers<V> y = load<V>(x, i);
#pragma unroll
    for (int k = 0; k < V; ++k) {
      const auto c = static_cast<int>((i + k) % scales.channels);
      y.v[k] = fmaf(scales.factor[c], y.v[k], scales.offset[c]);
    }
    store<V>(out, i, y);
  }
};

struct CastOp {
  In x;
  Out out;
  template <int V>
  __device__ void at(int64_t i) const {
    store<V>(out, i, load<V>(x, i));
  }
};

struct SumOp {
  In a, b;
  Out out;
  template <int V>
  __device__ void at(int64_t i) const {
    Numbers<V> y = load<V>(a, i);
    const Numbers<V> z = load<V>(b, i);
#pragma unroll
    for (int k = 0; k < V; ++k) y.v[k] += z.v[k];
    store<V>(out, i, y);
  }
};

// b is broadcast along some dimensions; with one value for all channels, it is loaded once per vector.
struct BroadcastSumOp {
  AddArgs args;
  template <int V>
  __device__ void at(int64_t i) const {
    int64_t rest = i, j = 0;
#pragma unroll
    for (int d = 3; d >= 0; --d) {
      j += rest % args.shape[d] * args.strides[d];
      rest /= args.shape[d];
    }
    Numbers<V> y = load<V>(args.a, i);
    if (args.strides[3] == 0) {
      const float z = load<1>(args.b, j).v[0];
#pragma unroll
      for (int k = 0; k < V; ++k) y.v[k] += z;
    } else {
      const Numbers<V> z = load<V>(args.b, j);
#pragma unroll
      for (int k = 0; k < V; ++k) y.v[k] += z.v[k];
    }
    store<V>(args.out, i, y);
  }
};

struct EpilogueOp {
  EpilogueArgs args;
  template <int V>
  __device__ void at(int64_t i) const {
    Numbers<V> y = load<V>(args.x, i);
    if (args.bias.data != nullptr) {
      const Numbers<V> bias = load<V>(args.bias, i % args.columns);
#pragma unroll
      for (int k = 0; k < V; ++k) y.v[k] += bias.v[k];
    }
    if (args.activation != Activation::none) {
#pragma unroll
      for (int k = 0; k < V; ++k) y.v[k] = apply(args.activation, y.v[k]);
    }
    if (args.residual.data != nullptr) {
      const Numbers<V> residual = load<V>(args.residual, i);
#pragma unroll
      for (int k = 0; k < V; ++k) y.v[k] += residual.v[k];
    }
    store<V>(args.out, i, y);
  }
};

template <DType T>
struct GeluGateOp {
  In x, bias;
  Out out;
  int64_t width;
  template <int V>
  __device__ void at(int64_t i) const {
    const In x{this->x.data, T}, bias{this->bias.data, T};
    const int64_t column = i % width, first = 2 * (i - column) + column;
    Numbers<V> value = load<V>(x, first), gate = load<V>(x, first + width);
    if (bias.data != nullptr) {
      const Numbers<V> value_bias = load<V>(bias, column), gate_bias = load<V>(bias, width + column);
#pragma unroll
      for (int k = 0; k < V; ++k) {
        value.v[k] += value_bias.v[k];
        gate.v[k] += gate_bias.v[k];
      }
    }
#pragma unroll
    for (int k = 0; k < V; ++k) value.v[k] *= gelu(gate.v[k]);
    store<V>(out, i, value);
  }
};

}  // namespace

int code_for_this_card() {
  cudaFuncAttributes attributes;
  const bool has = cudaFuncGetAttributes(&attributes, map_kernel<1, CastOp>) == cudaSuccess;
  cudaGetLastError();  // a missing image is a valid result; this clears the error
  return has ? attributes.ptxVersion : 0;
}

void activate(Activation kind, In x, Out out, int64_t n, cudaStream_t stream) {
  map(n, n % kVector == 0, ActivateOp{kind, x, out}, stream);
}

void scale(float factor, float offset, In x, Out out, int64_t n, cudaStream_t stream) {
  map(n, n % kVector == 0, ScaleOp{factor, offset, x, out}, stream);
}

void scale(const ChannelScales& scales, In x, Out out, int64_t n, cudaStream_t stream) {
  map(n, n % kVector == 0, ChannelScaleOp{scales, x, out}, stream);
}

void cast(In x, Out out, int64_t n, cudaStream_t stream) {
  map(n, n % kVector == 0, CastOp{x, out}, stream);
}

void add(const AddArgs& a, cudaStream_t stream) {
  const int64_t n = a.shape[0] * a.shape[1] * a.shape[2] * a.shape[3];
  bool same = true;
  for (int64_t d = 3, stride = 1; d >= 0; stride *= a.shape[d--])
    same = same && (a.strides[d] == stride || a.shape[d] == 1);
  if (same) return map(n, n % kVector == 0, SumOp{a.a, a.b, a.out}, stream);
  map(n, a.shape[3] % kVector == 0, BroadcastSumOp{a}, stream);
}

void epilogue(const EpilogueArgs& args, cudaStream_t stream) {
  map(args.rows * args.columns, args.columns % kVector == 0, EpilogueOp{args}, stream);
}

void gelu_gate(In x, In bias, Out out, int64_t rows, int64_t width, cudaStream_t stream) {
  with_type(x.type, [&](auto type) {
    map(rows * width, width % kVector == 0, GeluGateOp<type()>{x, bias, out, width}, stream);
  });
}

}  // namespace tempera::cuda
