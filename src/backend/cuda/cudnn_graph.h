// cuDNN's graph API. An operation graph is described, cuDNN lists engines for it, and the fastest deterministic one
// that fits the workspace is kept.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/enqueue.h"
#include "backend/cuda/libraries.h"
#include "backend/cuda/tuning.h"
#include "base/dtype.h"

namespace tempera::cuda {

// An object of the graph API: attributes are set, then it is finalized and constant.
class Descriptor {
 public:
  Descriptor(const Cudnn& library, cudnnBackendDescriptorType_t type);
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : library_(other.library_), raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&&) = delete;

  cudnnBackendDescriptor_t raw() const { return raw_; }

  void set_values(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                  const void* values);
  template <class Value>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const Value& value) {
    set_values(name, type, 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& value);
  void set(cudnnBackendAttributeName_t name, std::initializer_list<int64_t> values);

  void finalize();
  // Whether the object is valid and supported, for objects that may be unsupported.
  bool try_finalize();

  // Returns the number of values, and writes the first `room` of them.
  int64_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, void* values, int64_t room) const;

 private:
  const Cudnn* library_;
  cudnnBackendDescriptor_t raw_ = nullptr;
};

// A tensor of a graph. Sizes and strides count elements. For cuDNN, pictures are N, C, H, W with any strides.
struct GraphTensor {
  int64_t id = 0;  // identifies its address
  DType type = DType::f32;
  std::array<int64_t, 4> sizes{1, 1, 1, 1}, strides{1, 1, 1, 1};
  bool in_registers = false;  // between two operations, never in memory
};

class CudnnGraph {
 public:
  CudnnGraph(const Cudnn& library, cudnnHandle_t handle) : library_(library), handle_(handle) {}

  // Valid as long as the graph.
  const Descriptor& tensor(const GraphTensor& spec);

  struct Convolution {
    int64_t stride = 1, pad = 1;
  };
  void convolution(const Convolution& c, const Descriptor& x, const Descriptor& w, const Descriptor& y);
  void add(const Descriptor& a, const Descriptor& b, const Descriptor& y);

  // {id, address of device memory}
  using Addresses = std::vector<std::pair<int64_t, const void*>>;

  // The fastest engine for the graph as described so far: the known one of `problem`, or the result of timing on
  // `stream`. Timing overwrites outputs. Nothing if there is no engine. exact: no tensor cores (they round f32 to
  // TF32).
  Enqueue bind(const Addresses& addresses, void* workspace, bool exact, Tuning& tuning, const std::string& problem,
               cudaStream_t stream);

 private:
  std::vector<Descriptor> configurations(const Descriptor& graph, bool exact) const;

  const Cudnn& library_;
  cudnnHandle_t handle_;
  std::vector<std::unique_ptr<Descriptor>> tensors_;
  std::vector<Descriptor> parameters_, operations_;
};

// "9.19.0"
std::string version_of(const Cudnn& library);

}  // namespace tempera::cuda
