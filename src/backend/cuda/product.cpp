// cuBLASLt is column-major: a row-major (m, n) matrix is an (n, m) matrix there. So out^T = w x^T: w is the first
// operand, and its rows (n, k) are the transpose of a column-major matrix.
#include "backend/cuda/product.h"

#include <algorithm>
#include <array>
#include <bit>

#include "backend/cuda/table.h"
#include "base/error.h"

namespace tempera::cuda {
namespace {

constexpr int kCandidates = 6;

cudaDataType_t data_type(DType type) {
  return type == DType::f32 ? CUDA_R_32F : type == DType::f16 ? CUDA_R_16F : CUDA_R_16BF;
}

// The largest power of two that divides an address and all steps from it, at most the alignment of cudaMalloc.
uint32_t alignment_of(const void* pointer, DType type, int64_t stride, int64_t batch) {
  const auto size = static_cast<uint64_t>(size_of(type));
  const uint64_t bits = reinterpret_cast<uintptr_t>(pointer) | static_cast<uint64_t>(stride) * size |
                        static_cast<uint64_t>(batch) * size | 256;
  return uint32_t{1} << std::countr_zero(bits);
}

// The alignments, as hints for the library.
struct Alignments {
  uint32_t w, x, residual, out;
  Alignments(const ProductSpec& s, const ProductArgs& args)
      : w(alignment_of(args.w, s.type, s.w_stride, s.w_batch)),
        x(alignment_of(args.x, s.type, s.x_stride, s.x_batch)),
        residual(alignment_of(s.residual ? args.residual : args.out, s.to, s.out_stride, s.out_batch)),
        out(alignment_of(args.out, s.to, s.out_stride, s.out_batch)) {}
};

std::string problem_of(const ProductSpec& s, const Alignments& align) {
  return fmt::format("product {}x{}x{} {}->{}{}{}{} strides {} {} {} batch {} {} {} {} aligned {} {} {} {}", s.m, s.n,
                     s.k, name(s.type), name(s.to), s.w_plain ? " plain" : "", s.bias ? " bias" : "",
                     s.residual ? " residual" : "", s.x_stride, s.w_stride, s.out_stride, s.batches, s.x_batch,
                     s.w_batch, s.out_batch, align.w, align.x, align.residual, align.out);
}

// The descriptors of one product, and its operands.
class Product {
 public:
  Product(const CublasLt& library, cublasLtHandle_t handle, const ProductSpec& spec, const ProductArgs& args)
      : library_(library), handle_(handle), spec_(spec), args_(args) {
    try {
      describe();
    } catch (...) {
      destroy();
      throw;
    }
  }
  ~Product() { destroy(); }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  std::vector<cublasLtMatmulAlgo_t> algorithms() const;

  void run(const cublasLtMatmulAlgo_t& algorithm, cudaStream_t stream) const {
    const float beta = spec_.residual ? 1.0f : 0.0f;
    const void* c = spec_.residual ? args_.residual : args_.out;
    library_.check(library_.cublasLtMatmul(handle_, product_, &spec_.alpha, args_.w, w_, args_.x, x_, &beta, c, out_,
                                           args_.out, out_, &algorithm, args_.workspace, kCudaLibraryWorkspace, stream),
                   "cublasLtMatmul");
  }

 private:
  void describe() {
    library_.check(library_.cublasLtMatmulDescCreate(&product_, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                   "cublasLtMatmulDescCreate");
    set(CUBLASLT_MATMUL_DESC_TRANSA, spec_.w_plain ? CUBLAS_OP_N : CUBLAS_OP_T);
    if (spec_.bias) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, args_.bias);
    }
    const int64_t w_rows = spec_.w_plain ? spec_.n : spec_.k, w_columns = spec_.w_plain ? spec_.k : spec_.n;
    w_ = layout(spec_.type, w_rows, w_columns, spec_.w_stride, spec_.w_batch);
    x_ = layout(spec_.type, spec_.k, spec_.m, spec_.x_stride, spec_.x_batch);
    out_ = layout(spec_.to, spec_.n, spec_.m, spec_.out_stride, spec_.out_batch);
  }

  template <class Value>
  void set(cublasLtMatmulDescAttributes_t attribute, Value value) {
    library_.check(library_.cublasLtMatmulDescSetAttribute(product_, attribute, &value, sizeof value),
                   "cublasLtMatmulDescSetAttribute");
  }

  cublasLtMatrixLayout_t layout(DType type, int64_t rows, int64_t columns, int64_t stride, int64_t batch) const {
    cublasLtMatrixLayout_t made = nullptr;
    library_.check(library_.cublasLtMatrixLayoutCreate(&made, data_type(type), static_cast<uint64_t>(rows),
                                                       static_cast<uint64_t>(columns), stride),
                   "cublasLtMatrixLayoutCreate");
    if (spec_.batches > 1) {
      const auto set_layout = [&](cublasLtMatrixLayoutAttribute_t attribute, const auto& value) {
        const cublasStatus_t status = library_.cublasLtMatrixLayoutSetAttribute(made, attribute, &value, sizeof value);
        if (status == CUBLAS_STATUS_SUCCESS) return;
        library_.cublasLtMatrixLayoutDestroy(made);
        library_.check(status, "cublasLtMatrixLayoutSetAttribute");
      };
      const int32_t count = spec_.batches;
      set_layout(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, count);
      set_layout(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, batch);
    }
    return made;
  }

  void destroy() noexcept {
    for (cublasLtMatrixLayout_t layout : {w_, x_, out_})
      if (layout != nullptr) library_.cublasLtMatrixLayoutDestroy(layout);
    if (product_ != nullptr) library_.cublasLtMatmulDescDestroy(product_);
  }

  const CublasLt& library_;
  cublasLtHandle_t handle_;
  ProductSpec spec_;
  ProductArgs args_;
  cublasLtMatmulDesc_t product_ = nullptr;
  cublasLtMatrixLayout_t w_ = nullptr, x_ = nullptr, out_ = nullptr;
};

// Split sums are kept in f32 and added in order: no algorithm that rounds them to half precision.
std::vector<cublasLtMatmulAlgo_t> Product::algorithms() const {
  cublasLtMatmulPreference_t preference = nullptr;
  library_.check(library_.cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    const cublasStatus_t status =
        library_.cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value);
    if (status == CUBLAS_STATUS_SUCCESS) return;
    library_.cublasLtMatmulPreferenceDestroy(preference);
    library_.check(status, "cublasLtMatmulPreferenceSetAttribute");
  };
  const size_t workspace = kCudaLibraryWorkspace;
  const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace);
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
  const Alignments align(spec_, args_);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, align.w);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, align.x);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, align.residual);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, align.out);
  std::array<cublasLtMatmulHeuristicResult_t, kCandidates> results{};
  int found = 0;
  const cublasStatus_t status = library_.cublasLtMatmulAlgoGetHeuristic(
      handle_, product_, w_, x_, out_, out_, preference, kCandidates, results.data(), &found);
  library_.cublasLtMatmulPreferenceDestroy(preference);
  if (status != CUBLAS_STATUS_NOT_SUPPORTED) library_.check(status, "cublasLtMatmulAlgoGetHeuristic");
  std::vector<cublasLtMatmulAlgo_t> algorithms;
  for (int i = 0; i < found; ++i)
    if (results[static_cast<size_t>(i)].state == CUBLAS_STATUS_SUCCESS)
      algorithms.push_back(results[static_cast<size_t>(i)].algo);
  return algorithms;
}

}  // namespace

Products::Products(Tuning& tuning) : tuning_(tuning) {
  library_.check(library_.cublasLtCreate(&handle_), "cublasLtCreate");
}

Products::~Products() {
  library_.cublasLtDestroy(handle_);
}

std::string Products::version() const {
  const size_t v = library_.cublasLtGetVersion();  // 130200: 13.2.0
  return fmt::format("{}.{}.{}", v / 10000, v / 100 % 100, v % 100);
}

Enqueue Products::bind(const ProductSpec& spec, const ProductArgs& args, cudaStream_t stream) {
  const auto product = std::make_shared<Product>(library_, handle_, spec, args);
  std::vector<Candidate> candidates;
  for (const cublasLtMatmulAlgo_t& algorithm : product->algorithms())
    candidates.push_back({fmt::format("cuBLASLt heuristic {}", candidates.size()), [product, algorithm]() -> Enqueue {
                            return [product, algorithm](cudaStream_t s) { product->run(algorithm, s); };
                          }});
  const TuningKey key{library(), problem_of(spec, Alignments(spec, args))};
  Enqueue best = fastest(tuning_, key, candidates, stream);
  if (!best) fail(ErrorCode::internal, "{} has no algorithm for {}", key.library, key.problem);
  return best;
}

}  // namespace tempera::cuda
