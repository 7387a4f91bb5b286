#include "weights/scaled_fp8.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/half.h"

namespace tempera {
namespace {

constexpr std::string_view kMarker = "scaled_fp8", kScale = ".scale_weight", kInputScale = ".scale_input",
                           kWeight = ".weight";

// A tensor that only one layout of scaled or packed weights has, by the end or a part of its name. The order matters:
// more specific rows are first.
struct OtherLayout {
  std::string_view part, layout;
};
constexpr std::array kOtherLayouts = {
    OtherLayout{".comfy_quant", "ComfyUI's quantisation by layer (comfy_quant)"},
    OtherLayout{".weight_scale_inv", "fp8 with a scale for each block (weight_scale_inv)"},
    OtherLayout{".weight_scale_2", "NVFP4 (weight_scale_2)"},
    OtherLayout{".weight_scale", "fp8 with weight_scale, as ModelOpt and compressed-tensors write it"},
    OtherLayout{".weight.absmax", "bitsandbytes (absmax)"},
    OtherLayout{".weight.quant_state.", "bitsandbytes (quant_state)"},
    OtherLayout{".weight.SCB", "bitsandbytes with 8-bit integers (SCB)"},
    OtherLayout{".SCB", "bitsandbytes with 8-bit integers (SCB)"},
    OtherLayout{".qweight", "GPTQ, AWQ or SVDQuant (qweight)"},
};

// The elements of a reader, times a factor. The product is computed in float32.
class ScaledElements final : public ElementReader {
 public:
  ScaledElements(std::shared_ptr<const ElementReader> below, float factor)
      : below_(std::move(below)), factor_(factor) {}

  void read_block(const ElementBlock& block, DType to, std::byte* destination, size_t pitch) const override {
    std::array<float, 1024> values;
    for (size_t r = 0; r < block.rows; ++r)
      for (size_t at = 0; at < block.columns; at += values.size()) {
        const auto some = std::span(values).first(std::min(values.size(), block.columns - at));
        below_->read(block.first + r * block.stride + at, some.size(), DType::f32, std::as_writable_bytes(some).data());
        for (float& x : some) x *= factor_;
        convert(some.data(), DType::f32, destination + r * pitch + at * size_of(to), to, some.size());
      }
  }
  void done(size_t first, size_t n) const noexcept override { below_->done(first, n); }

 private:
  std::shared_ptr<const ElementReader> below_;
  float factor_;
};

class ScaledCheckpoint final : public Checkpoint {
 public:
  ScaledCheckpoint(std::shared_ptr<const Checkpoint> below, std::vector<std::string> names)
      : below_(std::move(below)), names_(std::move(names)) {}

  std::vector<std::string> names() const override { return names_; }

  std::optional<CheckpointTensor> find(std::string_view name) const override {
    if (!std::binary_search(names_.begin(), names_.end(), name)) return std::nullopt;
    std::optional<CheckpointTensor> tensor = below_->find(name);
    if (tensor && name.ends_with(kWeight)) {
      const std::string scale = std::string(name.substr(0, name.size() - kWeight.size())).append(kScale);
      if (const auto number = below_->find(scale)) {
        tensor->reader = std::make_shared<ScaledElements>(std::move(tensor->reader), read_scale(*number, scale));
        tensor->scaled = true;
      }
    }
    return tensor;
  }

  const std::map<std::string, std::string>& metadata() const override { return below_->metadata(); }
  std::string origin(std::string_view name) const override { return below_->origin(name); }

 private:
  float read_scale(const CheckpointTensor& tensor, std::string_view name) const {
    if (tensor.elements() != 1) {
      fail(ErrorCode::bad_file,
           "the scale {} has the shape {}, which is not supported: use a file with one scale for each weight, or with "
           "weights in float16",
           below_->origin(name), dims_to_string(tensor.dims));
    }
    if (!can_convert(tensor.dtype)) {
      fail(ErrorCode::bad_file, "the scale {} is of type {}, must be a floating-point number", below_->origin(name),
           tempera::name(tensor.dtype));
    }
    const float scale = tensor.floats()[0];
    if (!std::isfinite(scale))
      fail(ErrorCode::bad_file, "the scale {} is {}: the file is damaged, get it again", below_->origin(name), scale);
    return scale;
  }

  std::shared_ptr<const Checkpoint> below_;
  std::vector<std::string> names_;
};

void refuse_other_layouts(const Checkpoint& file, const std::vector<std::string>& names) {
  for (const OtherLayout& other : kOtherLayouts) {
    const auto at = std::ranges::find_if(names, [&](const std::string& name) {
      return other.part.back() == '.' ? name.find(other.part) != std::string::npos : name.ends_with(other.part);
    });
    if (at == names.end()) continue;
    fail(ErrorCode::bad_file,
         "the tensor {} shows weights in the layout of {}, which is not supported: use a file in float16, bfloat16, "
         "plain fp8, ComfyUI's scaled fp8 or GGUF",
         file.origin(*at), other.layout);
  }
}
}  // namespace

std::shared_ptr<const Checkpoint> with_fp8_scales(std::shared_ptr<const Checkpoint> file) {
  const std::vector<std::string> names = file->names();
  refuse_other_layouts(*file, names);
  std::vector<std::string_view> prefixes;  // of marked parts: "model.diffusion_model."
  for (const std::string& name : names) {
    const bool whole_name = name.size() == kMarker.size() || name.ends_with(std::string(".").append(kMarker));
    if (whole_name && name.ends_with(kMarker))
      prefixes.push_back(std::string_view(name).substr(0, name.size() - kMarker.size()));
  }
  const auto is_marked = [&](std::string_view name) {
    return std::ranges::any_of(prefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
  };
  std::vector<std::string> kept;
  for (const std::string& name : names) {
    const bool is_scale = name.ends_with(kScale) || (name.ends_with(kInputScale) && is_marked(name));
    if (is_scale && !is_marked(name)) {
      fail(ErrorCode::bad_file,
           "the tensor {} is a scale, but the file lacks the tensor {} that marks ComfyUI's scaled fp8: use a file "
           "that has it, or one with weights in float16",
           file->origin(name), kMarker);
    }
    const bool is_marker = name.ends_with(kMarker) &&
                           std::ranges::find(prefixes, name.substr(0, name.size() - kMarker.size())) != prefixes.end();
    if (!is_scale && !is_marker) kept.push_back(name);
  }
  if (kept.size() == names.size()) return file;
  return std::make_shared<ScaledCheckpoint>(std::move(file), std::move(kept));
}

}  // namespace tempera
