// The opened sources of one engine, in the order in which they were opened: first a model, then others such as a tiny
// autoencoder. Every component has a handle, which stays valid.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <variant>

#include "source/model_source.h"

namespace tempera {

struct ComponentRef {
  uint32_t source = 0;  // from Sources::add
  std::string name;     // models/components.h

  auto operator<=>(const ComponentRef&) const = default;
};

// Returned references stay valid while it lives. All functions throw Error(internal) for a source or a component that
// is not there.
class Sources {
 public:
  uint32_t add(ModelSource model);
  uint32_t add(LoneComponent component);
  size_t size() const { return sources_.size(); }

  // Throws Error(internal) also if the source is a lone component.
  const ModelSource& model(uint32_t source = 0) const;
  ModelSource& model(uint32_t source = 0);  // for open_text_encoders

  const ComponentSource& component(const ComponentRef& ref) const;
  // Also of a component that is not opened yet.
  ComponentConfig config(const ComponentRef& ref) const;
  // For messages: "the unet of '/models/sdxl'".
  std::string label(const ComponentRef& ref) const;

 private:
  using Entry = std::variant<ModelSource, LoneComponent>;
  const Entry& entry(uint32_t source) const;
  uint32_t add_entry(Entry entry);

  std::deque<Entry> sources_;
};

}  // namespace tempera
