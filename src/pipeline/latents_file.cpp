#include "pipeline/latents_file.h"

#include <algorithm>
#include <cmath>

#include "base/atomic_file.h"
#include "base/error.h"
#include "source/catalog/sha256.h"
#include "tempera/tempera.h"
#include "weights/safetensors.h"
#include "weights/safetensors_writer.h"

namespace tempera {
namespace {

constexpr const char* kName = "latents";
constexpr int64_t kMostSide = 8192, kMostPictures = 10000;

}  // namespace

LatentsFile read_latents(const std::filesystem::path& path, std::optional<int> index, const VaeConfig& vae) {
  const SafetensorsFile file(path);
  const std::optional<CheckpointTensor> tensor = file.find(kName);
  if (!tensor)
    fail(ErrorCode::bad_file, "'{}' has no tensor {}: give {} a file of latents", path.string(), kName,
         FieldName{"latents"});
  std::vector<int64_t> dims = tensor->dims;
  if (dims.size() == 3) dims.insert(dims.begin(), 1);
  const bool fits = dims.size() == 4 && dims[1] == vae.latent_channels && dims[0] >= 1 && dims[0] <= kMostPictures &&
                    dims[2] >= 1 && dims[2] <= kMostSide && dims[3] >= 1 && dims[3] <= kMostSide;
  if (!fits)
    fail(ErrorCode::bad_file, "{} is {}, expected Nx{}xHxW: the latents are of another model", file.origin(kName),
         dims_to_string(tensor->dims), vae.latent_channels);
  if (tensor->dtype != DType::f32 && tensor->dtype != DType::f16 && tensor->dtype != DType::bf16)
    fail(ErrorCode::bad_file, "{} is of type {}: only F32, F16 and BF16 are latents", file.origin(kName),
         safetensors_name(tensor->dtype));
  const std::vector<float> values = tensor->floats();
  if (!std::ranges::all_of(values, [](float x) { return std::isfinite(x); }))
    fail(ErrorCode::bad_file, "{} holds values that are no numbers: give {} a file that is whole", file.origin(kName),
         FieldName{"latents"});
  if (index && *index >= dims[0])
    fail(ErrorCode::invalid_argument, "{} is {}, but '{}' has {} pictures, counted from 0: give a smaller number",
         FieldName{"latents_index"}, *index, path.string(), dims[0]);
  LatentsFile out{static_cast<int>(dims[3]), static_cast<int>(dims[2]), {}, sha256_of_file(path)};
  const auto channels = static_cast<size_t>(dims[1]), pixels = static_cast<size_t>(dims[2] * dims[3]);
  const auto first = static_cast<size_t>(index.value_or(0));
  const size_t end = index ? first + 1 : static_cast<size_t>(dims[0]);
  for (size_t n = first; n < end; ++n) {
    std::vector<float>& picture = out.pictures.emplace_back(channels * pixels);
    const float* planar = &values[n * channels * pixels];
    for (size_t c = 0; c < channels; ++c)
      for (size_t p = 0; p < pixels; ++p) picture[p * channels + c] = planar[c * pixels + p];
  }
  return out;
}

void save_latents(const std::filesystem::path& path, std::span<const Image> images, bool replace) {
  const auto same = [&](const Image& image) {
    return !image.latents.empty() && image.latents.size() == images.front().latents.size() &&
           image.width == images.front().width && image.height == images.front().height;
  };
  if (images.empty() || !std::ranges::all_of(images, same))
    fail(ErrorCode::invalid_argument, "the pictures for '{}' have no latents of one size: draw them with {} latent",
         path.string(), FieldName{"output_type"});
  if (!replace && std::filesystem::exists(path))
    fail(ErrorCode::invalid_argument, "'{}' exists: give another name", path.string());
  const int64_t height = images.front().latent_height, width = images.front().latent_width;
  const auto channels = static_cast<int64_t>(images.front().latents.size()) / (height * width);
  const TensorSpec spec{kName, DType::f32, {static_cast<int64_t>(images.size()), channels, height, width}};
  SafetensorsWriter file(path, std::span(&spec, 1), {{"format", "pt"}, {"parameters", images.front().parameters}});
  for (const Image& image : images) file.append(std::as_bytes(std::span(image.latents)));
  file.commit();
}

}  // namespace tempera
