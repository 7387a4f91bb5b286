#include "support/reference.h"

#include <cmath>
#include <cstdlib>
#include <limits>

#include "weights/safetensors.h"

namespace tempera::test {

std::filesystem::path reference_dir() {
  if (const char* other = std::getenv("TEMPERA_REFERENCE_DIR")) return other;
  return std::filesystem::path(TEMPERA_REFERENCE) / "dev";
}

bool is_full_size() {
  return part("unet_in").dims.back() >= 64;
}

bool has_reference() {
  return std::filesystem::exists(reference_dir() / "parts.safetensors");
}

Part part(const std::string& name) {
  static const SafetensorsFile file(reference_dir() / "parts.safetensors");
  const CheckpointTensor tensor = file.get(name);
  return {tensor.dims, tensor.floats()};
}

std::vector<float> to_nhwc(const Part& nchw) {
  const auto n = static_cast<size_t>(nchw.dims[0]), c = static_cast<size_t>(nchw.dims[1]);
  const auto pixels = static_cast<size_t>(nchw.dims[2] * nchw.dims[3]);
  std::vector<float> out(nchw.values.size());
  for (size_t i = 0; i < n; ++i)
    for (size_t k = 0; k < c; ++k)
      for (size_t p = 0; p < pixels; ++p) out[(i * pixels + p) * c + k] = nchw.values[(i * c + k) * pixels + p];
  return out;
}

double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double error = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - b[i];
    error += d * d;
    norm += static_cast<double>(b[i]) * b[i];
  }
  const double relative = std::sqrt(error / norm);
  return std::isfinite(relative) ? relative : std::numeric_limits<double>::infinity();
}

}  // namespace tempera::test
