#include "backend/cuda/cudnn_graph.h"

#include <algorithm>

#include "backend/cuda/table.h"
#include "base/error.h"

// The handle attributes of graphs and plans are deprecated since they can come from device properties; older 9.x
// versions need them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace tempera::cuda {
namespace {

constexpr int kCandidates = 5;

cudnnDataType_t data_type(DType type) {
  return type == DType::f32 ? CUDNN_DATA_FLOAT : type == DType::f16 ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16;
}

Descriptor engine_of(const Cudnn& library, const Descriptor& configuration) {
  Descriptor engine(library, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.raw();
  configuration.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, &raw, 1);
  return engine;
}

std::string name_of(const Descriptor& engine) {
  int64_t number = 0;
  engine.get(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, &number, 1);
  return fmt::format("cuDNN engine {}", number);
}

// Whether an engine is deterministic and has the precision of the row. Winograd and FFT lose more.
bool allowed(const Descriptor& engine, bool exact) {
  std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> notes{};
  const int64_t count = engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, notes.data(),
                                   static_cast<int64_t>(notes.size()));
  return std::none_of(notes.begin(), notes.begin() + std::min<int64_t>(count, std::ssize(notes)),
                      [exact](cudnnBackendNumericalNote_t note) {
                        return note == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC || note == CUDNN_NUMERICAL_NOTE_FFT ||
                               note == CUDNN_NUMERICAL_NOTE_WINOGRAD ||
                               note == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION ||
                               (exact && note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
                      });
}

// A plan and the addresses it runs on.
class BoundPlan {
 public:
  BoundPlan(const Cudnn& library, cudnnHandle_t handle, Descriptor plan, const CudnnGraph::Addresses& addresses,
            void* workspace)
      : library_(library),
        handle_(handle),
        plan_(std::move(plan)),
        pack_(library, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR) {
    std::vector<int64_t> ids;
    std::vector<const void*> pointers;
    for (const auto& [id, address] : addresses) ids.push_back(id), pointers.push_back(address);
    const auto count = static_cast<int64_t>(ids.size());
    pack_.set_values(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, ids.data());
    pack_.set_values(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointers.data());
    pack_.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace);
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

}  // namespace

Descriptor::Descriptor(const Cudnn& library, cudnnBackendDescriptorType_t type) : library_(&library) {
  library.check(library.cudnnBackendCreateDescriptor(type, &raw_), "cudnnBackendCreateDescriptor");
}

Descriptor::~Descriptor() {
  if (raw_ != nullptr) library_->cudnnBackendDestroyDescriptor(raw_);
}

void Descriptor::set_values(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                            const void* values) {
  library_->check(library_->cudnnBackendSetAttribute(raw_, name, type, count, values), "cudnnBackendSetAttribute");
}

void Descriptor::set(cudnnBackendAttributeName_t name, const Descriptor& value) {
  set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, value.raw_);
}

void Descriptor::set(cudnnBackendAttributeName_t name, std::initializer_list<int64_t> values) {
  set_values(name, CUDNN_TYPE_INT64, static_cast<int64_t>(values.size()), values.begin());
}

void Descriptor::finalize() {
  library_->check(library_->cudnnBackendFinalize(raw_), "cudnnBackendFinalize");
}

bool Descriptor::try_finalize() {
  return library_->cudnnBackendFinalize(raw_) == CUDNN_STATUS_SUCCESS;
}

int64_t Descriptor::get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, void* values,
                        int64_t room) const {
  int64_t count = 0;
  library_->check(library_->cudnnBackendGetAttribute(raw_, name, type, room, &count, values),
                  "cudnnBackendGetAttribute");
  return count;
}

const Descriptor& CudnnGraph::tensor(const GraphTensor& spec) {
  Descriptor& t = *tensors_.emplace_back(std::make_unique<Descriptor>(library_, CUDNN_BACKEND_TENSOR_DESCRIPTOR));
  t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, data_type(spec.type));
  t.set_values(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, spec.sizes.data());
  t.set_values(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, spec.strides.data());
  t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, {spec.id});
  t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {16});
  t.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, spec.in_registers);
  t.finalize();
  return t;
}

void CudnnGraph::convolution(const Convolution& c, const Descriptor& x, const Descriptor& w, const Descriptor& y) {
  Descriptor p(library_, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  p.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  p.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION);
  p.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, {2});
  p.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, {1, 1});
  p.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {c.stride, c.stride});
  p.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {c.pad, c.pad});
  p.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, {c.pad, c.pad});
  p.finalize();
  Descriptor o(library_, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
  o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x);
  o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w);
  o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y);
  o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, p);
  o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1.0f);
  o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 0.0f);
  o.finalize();
  parameters_.push_back(std::move(p));
  operations_.push_back(std::move(o));
}

void CudnnGraph::add(const Descriptor& a, const Descriptor& b, const Descriptor& y) {
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

// Engine configurations, the most promising first.
std::vector<Descriptor> CudnnGraph::configurations(const Descriptor& graph, bool exact) const {
  std::vector<Descriptor> found;
  for (cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    Descriptor heuristics(library_, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
    if (!heuristics.try_finalize()) continue;
    const int64_t count = heuristics.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, nullptr, 0);
    std::vector<Descriptor> results;
    std::vector<cudnnBackendDescriptor_t> raw;
    for (int64_t i = 0; i < count; ++i) {
      results.emplace_back(library_, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
      raw.push_back(results.back().raw());
    }
    const int64_t filled =
        heuristics.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw.data(), count);
    for (int64_t i = 0; i < std::min(count, filled); ++i)
      if (Descriptor& result = results[static_cast<size_t>(i)]; allowed(engine_of(library_, result), exact))
        found.push_back(std::move(result));
  }
  return found;
}

Enqueue CudnnGraph::bind(const Addresses& addresses, void* workspace, bool exact, Tuning& tuning,
                         const std::string& problem, cudaStream_t stream) {
  std::vector<cudnnBackendDescriptor_t> operations;
  for (const Descriptor& operation : operations_) operations.push_back(operation.raw());
  Descriptor graph(library_, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set_values(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                   static_cast<int64_t>(operations.size()), operations.data());
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle_);
  if (!graph.try_finalize()) return {};
  const std::vector<Descriptor> configurations = this->configurations(graph, exact);

  // A plan within the workspace, or nothing if cuDNN does not support the configuration after all.
  std::vector<Candidate> candidates;
  candidates.reserve(configurations.size());
  for (const Descriptor& configuration : configurations)
    candidates.push_back({name_of(engine_of(library_, configuration)), [&]() -> Enqueue {
                            Descriptor plan(library_, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
                            plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
                            plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle_);
                            if (!plan.try_finalize()) return {};
                            int64_t bytes = 0;
                            plan.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, &bytes, 1);
                            if (bytes > static_cast<int64_t>(kCudaLibraryWorkspace)) return {};
                            const auto bound =
                                std::make_shared<BoundPlan>(library_, handle_, std::move(plan), addresses, workspace);
                            return [bound](cudaStream_t s) { bound->run(s); };
                          }});
  return fastest(tuning, {"cuDNN " + version_of(library_), problem}, candidates, stream, kCandidates);
}

std::string version_of(const Cudnn& library) {
  const size_t v = library.cudnnGetVersion();  // 91900: 9.19.0
  return fmt::format("{}.{}.{}", v / 10000, v / 100 % 100, v % 100);
}

}  // namespace tempera::cuda
