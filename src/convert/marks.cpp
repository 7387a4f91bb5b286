#include "convert/marks.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "source/marks.h"

namespace tempera {
namespace {

using nlohmann::json;

// Floats in memory as a tensor.
OutputTensor mark(std::string name, std::vector<int64_t> dims, const std::vector<double>& values) {
  const auto floats = std::make_shared<std::vector<float>>(values.begin(), values.end());
  OutputTensor tensor{{std::move(name), DType::f32, std::move(dims)}, {}, DType::f32, "a mark"};
  tensor.readers.push_back(std::make_shared<StoredElements>(DType::f32, std::as_bytes(std::span(*floats)), floats));
  return tensor;
}

std::string text_of(const json& scheduler, const char* key) {
  const auto at = scheduler.find(key);
  return at != scheduler.end() && at->is_string() ? at->get<std::string>() : "";
}

bool is_v(const json& scheduler) {
  return text_of(scheduler, "prediction_type") == "v_prediction";
}

json scheduler_of(const ConvertedModel& model) {
  const json scheduler = scheduler_object(model.scheduler_config);
  return scheduler.is_null() ? json::object() : scheduler;
}
}  // namespace

std::vector<OutputTensor> sampling_marks(const ConvertedModel& model, OutputKind kind) {
  const json scheduler = scheduler_of(model);
  const bool gguf = kind == OutputKind::gguf;
  const std::vector<int64_t> number = gguf ? std::vector<int64_t>{1} : std::vector<int64_t>{};
  std::vector<OutputTensor> marks;
  const auto add_flag = [&](const char* name) { marks.push_back(gguf ? mark(name, {1}, {1}) : mark(name, {0}, {})); };
  if (text_of(scheduler, "_class_name").starts_with("EDM")) {
    const VaeConfig* vae = model.config ? &model.config->vae : nullptr;
    if (is_v(scheduler)) {
      for (const char* sigma : {"sigma_max", "sigma_min"})
        if (const auto at = scheduler.find(sigma); at != scheduler.end() && at->is_number())
          marks.push_back(mark(std::string("edm_vpred.") + sigma, number, {at->get<double>()}));
    } else if (vae != nullptr && !vae->latents_mean.empty()) {
      const std::vector<int64_t> dims = {1, static_cast<int64_t>(vae->latents_mean.size()), 1, 1};
      marks.push_back(mark("edm_mean", dims, vae->latents_mean));
      marks.push_back(mark("edm_std", dims, vae->latents_std));
    }
    return marks;
  }
  if (is_v(scheduler)) add_flag("v_pred");
  if (const auto at = scheduler.find("rescale_betas_zero_snr"); at != scheduler.end() && *at == true) add_flag("ztsnr");
  return marks;
}

bool has_marks_of_files_alone(const ConvertedModel& model) {
  return std::ranges::any_of(sampling_marks(model, OutputKind::safetensors),
                             [](const OutputTensor& tensor) { return tensor.spec.name != "v_pred"; });
}

std::string prediction_mark(const ConvertedModel& model) {
  const json scheduler = scheduler_of(model);
  if (is_v(scheduler)) return "v";
  return text_of(scheduler, "prediction_type") == "epsilon" ? "epsilon" : "";
}

}  // namespace tempera
