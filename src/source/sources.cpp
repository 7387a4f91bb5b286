#include "source/sources.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"

namespace tempera {

uint32_t Sources::add(ModelSource model) {
  return add_entry(std::move(model));
}

uint32_t Sources::add(LoneComponent component) {
  return add_entry(std::move(component));
}

uint32_t Sources::add_entry(Entry entry) {
  sources_.push_back(std::move(entry));
  return static_cast<uint32_t>(sources_.size() - 1);
}

const Sources::Entry& Sources::entry(uint32_t source) const {
  TEMPERA_ASSERT(source < sources_.size());
  return sources_[source];
}

const ModelSource& Sources::model(uint32_t source) const {
  const auto* model = std::get_if<ModelSource>(&entry(source));
  TEMPERA_ASSERT(model != nullptr);
  return *model;
}

ModelSource& Sources::model(uint32_t source) {
  return const_cast<ModelSource&>(std::as_const(*this).model(source));
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
