#include "source/model_adapter.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "models/components.h"
#include "source/classify.h"
#include "source/ldm_config.h"
#include "weights/naming.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace {

// A component that adapters change, and the beginning of its names in single files.
struct Row {
  std::string_view component, ldm_prefix;
};

std::array<Row, 3> rows_of(const LdmLayout& layout) {
  return {Row{"unet", "model.diffusion_model."}, Row{"text_encoder", "conditioner.embedders.0.transformer."},
          Row{"text_encoder_2",
              layout.has_text_encoder ? "conditioner.embedders.1.model." : "conditioner.embedders.0.model."}};
}

}  // namespace

std::vector<ModelParameter> adapter_parameters(const ModelConfig& model) {
  const LdmLayout layout = ldm_layout(model);
  const LdmNames names(layout);
  std::vector<ModelParameter> result;
  for (const auto& [component, config] : component_configs(model)) {
    const auto rows = rows_of(layout);
    const auto row = std::ranges::find(rows, component, &Row::component);
    if (row == rows.end()) continue;
    std::vector<Parameter> parameters = parameters_of(config);
    result.reserve(result.size() + parameters.size());
    for (Parameter& parameter : parameters) {
      ModelParameter& added = result.emplace_back();
      added.component = component;
      const auto dims = parameter.shape.dims();
      added.dims.assign(dims.begin(), dims.end());
      const auto ldm = names.ldm_name(component, parameter.name);
      const bool same_form = ldm && (ldm->transform == Transform::none || ldm->transform == Transform::squeeze);
      if (same_form && ldm->name.starts_with(row->ldm_prefix))
        added.ldm_name = ldm->name.substr(row->ldm_prefix.size());
      added.name = std::move(parameter.name);
    }
  }
  return result;
}

AdapterFile open_model_adapter(const std::filesystem::path& path, const AdapterNames& names) {
  const std::shared_ptr<const Checkpoint> file = open_tensor_file(path);
  AdapterFile adapter = read_adapter(*file, names, path.string());
  if (adapter.matched == 0) {
    fail(ErrorCode::bad_file, "'{}' changes no parameter of this model (it looks like {}): give {} an adapter for SDXL",
         path.string(), describe(classify(*file)), FieldName{"lora"});
  }
  return adapter;
}

}  // namespace tempera
