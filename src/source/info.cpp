// info(): the properties of a model, from its headers alone.
#include <fmt/format.h>

#include "base/error.h"
#include "models/components.h"
#include "sampling/config.h"
#include "source/open.h"
#include "source/tiny_vae.h"
#include "tempera/tempera.h"

namespace tempera {
namespace {

std::string_view name_of(PredictionType type) {
  switch (type) {
    case PredictionType::epsilon:
      return "epsilon";
    case PredictionType::v_prediction:
      return "v_prediction";
    case PredictionType::sample:
      return "sample";
  }
  return "";
}

ComponentInfo describe(std::string_view name, const ComponentSource& component, std::string what) {
  std::string dtypes;
  for (const auto& [dtype, count] : component.parameters_by_dtype)
    dtypes += (dtypes.empty() ? "" : ", ") + std::string(tempera::name(dtype));
  return {std::string(name), static_cast<size_t>(component.parameters), dtypes, std::move(what)};
}

}  // namespace

ModelInfo info(const EngineOptions& engine, const LogSink& log) {
  const ModelSource source = open_model_of(engine, log);
  ModelInfo out;
  out.kind = fmt::format("{}, {}", source.kind(),
                         source.layout == ModelSource::Layout::diffusers_folder ? "diffusers folder" : "single file");
  out.path = source.path.string();
  out.file_bytes = source.file_bytes();
  for (const auto& [name, config] : component_configs(source.config))
    if (const ComponentSource* part = source.find(name))
      out.components.push_back(describe(name, *part, summary(config)));
  if (const auto tiny = open_own_tiny_vae(source.path, source.config.vae))
    out.components.push_back(describe(tiny->name, tiny->component, summary(tiny->config)));
  const SchedulerConfig scheduler = parse_scheduler_config(source.scheduler_config, source.scheduler_origin);
  out.scheduler = scheduler.class_name;
  out.prediction_type = name_of(scheduler.prediction_type);
  return out;
}

}  // namespace tempera
