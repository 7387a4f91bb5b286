// The opened sources of one engine: a model, and others such as a tiny autoencoder. Every component has a handle, which
// stays valid.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <variant>

#include "source/model_source.h"

namespace tempera {

// The sources that an engine can have.
enum class SourceId : uint8_t { model, tiny_vae, refiner };

struct ComponentRef {
  SourceId source = SourceId::model;
  std::string name;  // models/components.h

  auto operator<=>(const ComponentRef&) const = default;
};

// Returned references stay valid while it lives. All functions throw Error(internal) for a source or a component that
// is not there.
class Sources {
 public:
  // Throws Error(internal) if there is a source of this id.
  void add(SourceId id, ModelSource model);
  void add(SourceId id, LoneComponent component);
  bool has(SourceId id) const { return sources_.contains(id); }

  // Throws Error(internal) also if the source is a lone component.
  const ModelSource& model(SourceId id = SourceId::model) const;
  ModelSource& model(SourceId id = SourceId::model);  // for open_text_encoders

  const ComponentSource& component(const ComponentRef& ref) const;
  // Also of a component that is not opened yet.
  ComponentConfig config(const ComponentRef& ref) const;
  // For messages: "the unet of '/models/sdxl'".
  std::string label(const ComponentRef& ref) const;

 private:
  using Entry = std::variant<ModelSource, LoneComponent>;
  const Entry& entry(SourceId id) const;
  void add_entry(SourceId id, Entry entry);

  std::map<SourceId, Entry> sources_;
};

}  // namespace tempera
