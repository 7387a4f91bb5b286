#include "backend/cuda/libraries.h"

#include <dlfcn.h>

#include "base/error.h"

namespace tempera::cuda {

SharedLibrary::SharedLibrary(std::string file, const std::string& remedy) : file_(std::move(file)) {
  handle_.reset(dlopen(file_.c_str(), RTLD_NOW | RTLD_LOCAL));
  const char* why = handle_ ? nullptr : dlerror();
  const std::string reason = why == nullptr ? "" : why;
  // The path of NVIDIA's installer, for a library that is not in the linker's path.
  if (!handle_) handle_.reset(dlopen(("/usr/local/cuda/lib64/" + file_).c_str(), RTLD_NOW | RTLD_LOCAL));
  if (!handle_)
    fail(ErrorCode::unavailable, "{} cuda needs {} ({}): {}, or add its folder to LD_LIBRARY_PATH", FieldName{"device"},
         file_, reason, remedy);
}

void SharedLibrary::Close::operator()(void* handle) const {
  if (handle != nullptr) dlclose(handle);
}

void* SharedLibrary::symbol(const char* name) const {
  void* address = dlsym(handle_.get(), name);
  if (address == nullptr) fail(ErrorCode::unavailable, "{} has no function {}: install a newer version", file_, name);
  return address;
}

CublasLt::CublasLt()
    : library_(fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR),
               fmt::format("install cuBLAS {} (part of the CUDA toolkit)", CUBLAS_VER_MAJOR)) {}

void CublasLt::check(cublasStatus_t status, const char* call) const {
  if (status != CUBLAS_STATUS_SUCCESS)
    fail(ErrorCode::internal, "cuBLASLt: {} failed: {}", call, cublasLtGetStatusString(status));
}

Cudnn::Cudnn() : library_(fmt::format("libcudnn.so.{}", CUDNN_MAJOR), fmt::format("install cuDNN {}", CUDNN_MAJOR)) {}

void Cudnn::check(cudnnStatus_t status, const char* call) const {
  if (status != CUDNN_STATUS_SUCCESS)
    fail(ErrorCode::internal, "cuDNN: {} failed: {}", call, cudnnGetErrorString(status));
}

}  // namespace tempera::cuda
