#include "backend/cpu/onednn/onednn.h"

#include "backend/cpu/onednn/rows.h"
#include "base/error.h"

namespace tempera {

void add_onednn_kernels(std::vector<Kernel>& table) {
  const auto library = std::make_shared<onednn::Library>();
  onednn::add_conv2d_kernels(table, library);
  onednn::add_linear_kernels(table, library);
  onednn::add_conv_upcast_kernels(table, library);
  onednn::add_upcast_kernels(table, library);
}

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

bool onednn_has_bf16() {
  try {
    onednn::Library library;
    (void)library.plan(onednn::MatmulSpec{.m = 64, .k = 64, .n = 64, .dtype = DType::bf16});
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace tempera
