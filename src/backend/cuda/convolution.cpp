#include "backend/cuda/convolution.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "backend/cuda/table.h"
#include "base/error.h"

// The handle attributes of graphs and plans are deprecated since they can come from device properties; older 9.x
// versions need them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace tempera::cuda {
namespace {

constexpr int kCandidates = 5;

// An object of cuDNN's graph API: attributes are set, then it is finalized and constant.
class Descriptor {
 public:
  Descriptor(const Cudnn& library, cudnnBackendDescriptorType_t type) : library_(&library) {
    library.check(library.cudnnBackendCreateDescriptor(type, &raw_), "cudnnBackendCreateDescriptor");
  }
  ~Descriptor() {
    if (raw_ != nullptr) library_->cudnnBackendDestroyDescriptor(raw_);
  }
  Descriptor(Descriptor&& other) noexcept : library_(other.library_), raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&&) = delete;

  cudnnBackendDescriptor_t raw() const { return raw_; }

  template <class Value>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const Value* values, int64_t count) {
    library_->check(library_->cudnnBackendSetAttribute(raw_, name, type, count, values), "cudnnBackendSetAttribute");
  }
  template <class Value>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const Value& value) {
    set(name, type, &value, 1);
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& value) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, value.raw_);
  }
  void set(cudnnBackendAttributeName_t name, std::initializer_list<int64_t> values) {
    set(name, CUDNN_TYPE_INT64, values.begin(), static_cast<int64_t>(values.size()));
  }

  // Whether the object is valid and supported: asked where "no" is an answer.
  bool try_finalize() { return library_->cudnnBackendFinalize(raw_) == CUDNN_STATUS_SUCCESS; }
  void finalize() { library_->check(library_->cudnnBackendFinalize(raw_), "cudnnBackendFinalize"); }

  // How many values came, of at most `room`.
  template <class Value>
  int64_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, Value* values, int64_t room) const {
    int64_t count = 0;
    library_->check(library_->cudnnBackendGetAttribute(raw_, name, type, room, &count, values),
                    "cudnnBackendGetAttribute");
    return count;
  }

 private:
  const Cudnn* library_;
  cudnnBackendDescriptor_t raw_ = nullptr;
};

cudnnDataType_t data_type(DType type) {
  return type == DType::f32 ? CUDNN_DATA_FLOAT : type == DType::f16 ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16;
}

enum Id : int64_t { kX = 1, kW, kBias, kResidual, kOut, kSum, kBiased };

// The operation graph of a spec. Tensors are described as N, C, H, W with the strides of NHWC.
class ConvolutionGraph {
 public:
  ConvolutionGraph(const Cudnn& library, cudnnHandle_t handle, const ConvolutionSpec& s)
      : library_(library), f32_(s.type == DType::f32) {
    const auto nhwc = [](int64_t n, int64_t c, int64_t h, int64_t w) {
      return std::array<std::array<int64_t, 4>, 2>{{{n, c, h, w}, {c * h * w, 1, c * w, c}}};
    };
    const auto image = nhwc(s.pictures, s.out, s.out_height, s.out_width);
    const Descriptor& x = tensor(kX, s.type, nhwc(s.pictures, s.in, s.height, s.width));
    const Descriptor& w = tensor(kW, s.type, nhwc(s.out, s.in, s.kernel, s.kernel));
    const Descriptor& out = tensor(kOut, s.to, image);
    // What stands between the convolution and the output exists in registers only, in f32.
    const Descriptor& product = s.bias || s.residual ? tensor(kSum, DType::f32, image, true) : out;
    convolve(s, x, w, product);
    const Descriptor& summed = !s.residual ? product : s.bias ? tensor(kBiased, DType::f32, image, true) : out;
    if (s.residual) add(product, tensor(kResidual, s.to, image), summed);
    if (s.bias) add(summed, tensor(kBias, s.to, nhwc(1, s.out, 1, 1)), out);

    std::vector<cudnnBackendDescriptor_t> operations;
    for (const Descriptor& operation : operations_) operations.push_back(operation.raw());
    graph_.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, operations.data(),
               static_cast<int64_t>(operations.size()));
    graph_.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle);
    valid_ = graph_.try_finalize();
  }

  // Engine configurations, the most promising first, none that could give other bytes another time.
  std::vector<Descriptor> configurations() const {
    std::vector<Descriptor> found;
    if (!valid_) return found;
    for (cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
      Descriptor heuristics(library_, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
      heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph_);
      heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
      if (!heuristics.try_finalize()) continue;
      const int64_t count =
          heuristics.get<void>(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, nullptr, 0);
      std::vector<Descriptor> results;
      std::vector<cudnnBackendDescriptor_t> raw;
      for (int64_t i = 0; i < count; ++i) {
        results.emplace_back(library_, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
        raw.push_back(results.back().raw());
      }
      const int64_t filled =
          heuristics.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw.data(), count);
      for (int64_t i = 0; i < std::min(count, filled); ++i)
        if (allowed(results[static_cast<size_t>(i)])) found.push_back(std::move(results[static_cast<size_t>(i)]));
    }
    return found;
  }

 private:
  const Descriptor& tensor(Id id, DType type, const std::array<std::array<int64_t, 4>, 2>& shape,
                           bool is_virtual = false) {
    Descriptor& t = *tensors_.emplace_back(std::make_unique<Descriptor>(library_, CUDNN_BACKEND_TENSOR_DESCRIPTOR));
    t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, data_type(type));
    t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, shape[0].data(), 4);
    t.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, shape[1].data(), 4);
    t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, {id});
    t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {16});
    t.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, is_virtual);
    t.finalize();
    return t;
  }

  void convolve(const ConvolutionSpec& s, const Descriptor& x, const Descriptor& w, const Descriptor& y) {
    Descriptor c(library_, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    c.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    c.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION);
    c.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, {2});
    c.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, {1, 1});
    c.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {s.stride, s.stride});
    c.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {s.pad, s.pad});
    c.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, {s.pad, s.pad});
    c.finalize();
    Descriptor o(library_, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x);
    o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w);
    o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y);
    o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, c);
    o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1.0f);
    o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 0.0f);
    o.finalize();
    parameters_.push_back(std::move(c));
    operations_.push_back(std::move(o));
  }

  void add(const Descriptor& a, const Descriptor& b, const Descriptor& y) {
    Descriptor p(library_, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    p.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, CUDNN_POINTWISE_ADD);
    p.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    p.finalize();
    Descriptor o(library_, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    o.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, p);
    o.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a);
    o.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    o.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    o.finalize();
    parameters_.push_back(std::move(p));
    operations_.push_back(std::move(o));
  }

  // NVIDIA_TF32_OVERRIDE=0 asks all of NVIDIA's libraries for full f32: then no tensor cores for f32 pictures. Winograd
  // and FFT engines lose more precision than the tolerance of the row allows.
  bool allowed(const Descriptor& configuration) const {
    Descriptor engine(library_, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    cudnnBackendDescriptor_t raw = engine.raw();
    configuration.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, &raw, 1);
    std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> notes{};
    const int64_t count = engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, notes.data(),
                                     static_cast<int64_t>(notes.size()));
    const char* tf32 = std::getenv("NVIDIA_TF32_OVERRIDE");
    const bool full = f32_ && tf32 != nullptr && std::string_view(tf32) == "0";
    for (int64_t i = 0; i < count; ++i) {
      const cudnnBackendNumericalNote_t note = notes[static_cast<size_t>(i)];
      if (note == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC || note == CUDNN_NUMERICAL_NOTE_FFT ||
          note == CUDNN_NUMERICAL_NOTE_WINOGRAD || note == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)
        return false;
      if (full && note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE) return false;
    }
    return true;
  }

  const Cudnn& library_;
  bool f32_;
  std::vector<std::unique_ptr<Descriptor>> tensors_;
  std::vector<Descriptor> parameters_, operations_;
  Descriptor graph_{library_, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR};
  bool valid_ = false;
};

// A plan and the addresses it runs on.
class BoundPlan {
 public:
  BoundPlan(const Cudnn& library, cudnnHandle_t handle, Descriptor plan, const ConvolutionSpec& s,
            const ConvolutionArgs& args)
      : library_(library),
        handle_(handle),
        plan_(std::move(plan)),
        pack_(library, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR) {
    std::vector<int64_t> ids{kX, kW, kOut};
    std::vector<const void*> addresses{args.x, args.w, args.out};
    if (s.bias) ids.push_back(kBias), addresses.push_back(args.bias);
    if (s.residual) ids.push_back(kResidual), addresses.push_back(args.residual);
    const auto count = static_cast<int64_t>(ids.size());
    pack_.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, ids.data(), count);
    pack_.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, addresses.data(), count);
    pack_.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, args.workspace);
    pack_.finalize();
  }
  void run(cudaStream_t stream) const {
    library_.check(library_.cudnnSetStream(handle_, stream), "cudnnSetStream");
    library_.check(library_.cudnnBackendExecute(handle_, plan_.raw(), pack_.raw()), "cudnnBackendExecute");
  }

 private:
  const Cudnn& library_;
  cudnnHandle_t handle_;
  Descriptor plan_, pack_;
};

std::string key_of(const ConvolutionSpec& s, const std::string& version) {
  const char* tf32 = std::getenv("NVIDIA_TF32_OVERRIDE");
  return fmt::format("cuDNN {} {}x{}x{}x{} -> {}x{}x{} {}/{} pad {} {}->{}{}{}{}", version, s.pictures, s.height,
                     s.width, s.in, s.out_height, s.out_width, s.out, s.kernel, s.stride, s.pad, name(s.type),
                     name(s.to), s.bias ? " bias" : "", s.residual ? " residual" : "",
                     s.type == DType::f32 && tf32 != nullptr ? fmt::format(" TF32={}", tf32) : "");
}

}  // namespace

Convolutions::Convolutions(Tuning& tuning) : tuning_(tuning) {
  library_.check(library_.cudnnCreate(&handle_), "cudnnCreate");
}

Convolutions::~Convolutions() {
  library_.cudnnDestroy(handle_);
}

std::string Convolutions::version() const {
  const size_t v = library_.cudnnGetVersion();  // 91900: 9.19.0
  return fmt::format("{}.{}.{}", v / 10000, v / 100 % 100, v % 100);
}

Enqueue Convolutions::bind(const ConvolutionSpec& spec, const ConvolutionArgs& args, cudaStream_t stream) {
  const ConvolutionGraph graph(library_, handle_, spec);
  const std::vector<Descriptor> configurations = graph.configurations();
  // A plan within our workspace, or nothing where cuDNN does not support the configuration after all.
  const auto bound = [&](size_t i) -> std::shared_ptr<BoundPlan> {
    Descriptor plan(library_, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configurations[i]);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle_);
    if (!plan.try_finalize()) return nullptr;
    int64_t workspace = 0;
    plan.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, &workspace, 1);
    if (workspace > static_cast<int64_t>(kCudaLibraryWorkspace)) return nullptr;
    return std::make_shared<BoundPlan>(library_, handle_, std::move(plan), spec, args);
  };

  const std::string key = key_of(spec, version());
  std::shared_ptr<BoundPlan> best;
  if (const auto known = tuning_.known(key); known && static_cast<size_t>(*known) < configurations.size())
    best = bound(static_cast<size_t>(*known));
  if (!best) {
    int choice = 0, tried = 0;
    double best_time = 0;
    for (size_t i = 0; i < configurations.size() && tried < kCandidates; ++i) {
      const std::shared_ptr<BoundPlan> candidate = bound(i);
      if (!candidate) continue;
      ++tried;
      const double time = time_on_device(stream, [&] { candidate->run(stream); });
      if (!best || time < best_time) best = candidate, best_time = time, choice = static_cast<int>(i);
    }
    if (!best) return {};
    tuning_.remember(key, choice, best_time);
  }
  return [best](cudaStream_t s) { best->run(s); };
}

}  // namespace tempera::cuda
