#include "source/sources.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"

namespace tempera {

void Sources::add(SourceId id, ModelSource model) {
  add_entry(id, std::move(model));
}

void Sources::add(SourceId id, LoneComponent component) {
  add_entry(id, std::move(component));
}

void Sources::add_entry(SourceId id, Entry entry) {
  TEMPERA_ASSERT(!has(id));
  sources_.emplace(id, std::move(entry));
}

const Sources::Entry& Sources::entry(SourceId id) const {
  const auto at = sources_.find(id);
  TEMPERA_ASSERT(at != sources_.end());
  return at->second;
}

const ModelSource& Sources::model(SourceId id) const {
  const auto* model = std::get_if<ModelSource>(&entry(id));
  TEMPERA_ASSERT(model != nullptr);
  return *model;
}

ModelSource& Sources::model(SourceId id) {
  return const_cast<ModelSource&>(std::as_const(*this).model(id));
}

const ComponentSource& Sources::component(const ComponentRef& ref) const {
  const auto* lone = std::get_if<LoneComponent>(&entry(ref.source));
  if (lone == nullptr) return model(ref.source).component(ref.name);
  TEMPERA_ASSERT(lone->name == ref.name);
  return lone->component;
}

ComponentConfig Sources::config(const ComponentRef& ref) const {
  if (const auto* lone = std::get_if<LoneComponent>(&entry(ref.source))) {
    TEMPERA_ASSERT(lone->name == ref.name);
    return lone->config;
  }
  const ComponentKind& kind = component_kind(ref.name);
  TEMPERA_ASSERT(kind.in_models());
  std::optional<ComponentConfig> config = kind.get(model(ref.source).config);
  TEMPERA_ASSERT(config.has_value());
  return *std::move(config);
}

std::string Sources::label(const ComponentRef& ref) const {
  const std::filesystem::path& path =
      std::visit([](const auto& source) -> const std::filesystem::path& { return source.path; }, entry(ref.source));
  return fmt::format("the {} of '{}'", ref.name, path.string());
}

}  // namespace tempera
