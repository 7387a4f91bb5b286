// NVIDIA's libraries, opened at run time. So a program with CUDA starts on machines without them, and an error names
// the missing library when a card is requested. The headers give the types. The functions that are called are listed
// here.
#pragma once

#include <cublasLt.h>
#include <cudnn.h>

#include <memory>
#include <string>

namespace tempera::cuda {

// A shared library. Throws Error(unavailable) with its name and the remedy.
class SharedLibrary {
 public:
  SharedLibrary(std::string file, const std::string& remedy);
  void* symbol(const char* name) const;
  const std::string& file() const { return file_; }

 private:
  struct Close {
    void operator()(void* handle) const;
  };
  std::string file_;
  std::unique_ptr<void, Close> handle_;
};

// NOLINTNEXTLINE(bugprone-macro-parentheses): the name of a member cannot have them.
#define TEMPERA_FUNCTION(name) decltype(&::name) name = load<decltype(&::name)>(#name)

class CublasLt {
 public:
  CublasLt();

 private:
  template <class F>
  F load(const char* name) const {
    return reinterpret_cast<F>(library_.symbol(name));
  }
  SharedLibrary library_;

 public:
  TEMPERA_FUNCTION(cublasLtCreate);
  TEMPERA_FUNCTION(cublasLtDestroy);
  TEMPERA_FUNCTION(cublasLtGetVersion);
  TEMPERA_FUNCTION(cublasLtGetStatusString);
  TEMPERA_FUNCTION(cublasLtMatmul);
  TEMPERA_FUNCTION(cublasLtMatmulAlgoGetHeuristic);
  TEMPERA_FUNCTION(cublasLtMatmulDescCreate);
  TEMPERA_FUNCTION(cublasLtMatmulDescDestroy);
  TEMPERA_FUNCTION(cublasLtMatmulDescSetAttribute);
  TEMPERA_FUNCTION(cublasLtMatrixLayoutCreate);
  TEMPERA_FUNCTION(cublasLtMatrixLayoutDestroy);
  TEMPERA_FUNCTION(cublasLtMatrixLayoutSetAttribute);
  TEMPERA_FUNCTION(cublasLtMatmulPreferenceCreate);
  TEMPERA_FUNCTION(cublasLtMatmulPreferenceDestroy);
  TEMPERA_FUNCTION(cublasLtMatmulPreferenceSetAttribute);

  // Throws Error(internal) with the name of the call.
  void check(cublasStatus_t status, const char* call) const;
};

class Cudnn {
 public:
  Cudnn();

 private:
  template <class F>
  F load(const char* name) const {
    return reinterpret_cast<F>(library_.symbol(name));
  }
  SharedLibrary library_;

 public:
  TEMPERA_FUNCTION(cudnnCreate);
  TEMPERA_FUNCTION(cudnnDestroy);
  TEMPERA_FUNCTION(cudnnSetStream);
  TEMPERA_FUNCTION(cudnnGetVersion);
  TEMPERA_FUNCTION(cudnnGetErrorString);
  TEMPERA_FUNCTION(cudnnBackendCreateDescriptor);
  TEMPERA_FUNCTION(cudnnBackendDestroyDescriptor);
  TEMPERA_FUNCTION(cudnnBackendSetAttribute);
  TEMPERA_FUNCTION(cudnnBackendGetAttribute);
  TEMPERA_FUNCTION(cudnnBackendFinalize);
  TEMPERA_FUNCTION(cudnnBackendExecute);

  void check(cudnnStatus_t status, const char* call) const;
};

#undef TEMPERA_FUNCTION

}  // namespace tempera::cuda
