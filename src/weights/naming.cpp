// The rows of all components, and the two ways of reading a checkpoint by them.
#include "weights/naming.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "weights/canonical.h"
#include "weights/ldm_pairs.h"

namespace tempera {
namespace {
using CanonicalName = std::optional<Source>(std::string_view name);  // as in canonical.h

struct ComponentNaming {
  std::string_view component;
  CanonicalName* canonical;
  LdmModules (*ldm)(const LdmLayout& layout);  // nullptr: single files do not carry the component
};

constexpr std::array kNamings = {
    ComponentNaming{"text_encoder", canonical_text, ldm_text_encoder},
    ComponentNaming{"text_encoder_2", canonical_text, ldm_text_encoder_2},
    ComponentNaming{"unet", canonical_unet, ldm_unet},
    ComponentNaming{"vae", canonical_vae, ldm_vae},
    ComponentNaming{"vae_tiny", canonical_as_given, nullptr},
};

const ComponentNaming& naming_of(std::string_view component) {
  const auto row = std::ranges::find(kNamings, component, &ComponentNaming::component);
  TEMPERA_ASSERT(row != kNamings.end());
  return *row;
}

// Adds name -> source. Throws Error(bad_file) when the table has the name already.
void add_row(AdaptedCheckpoint::Table& table, std::string name, const Source& source, const Checkpoint& below) {
  const auto [at, is_new] = table.try_emplace(std::move(name), source);
  if (!is_new) {
    fail(ErrorCode::bad_file, "the tensors {} and {} are the same weight under two names",
         below.origin(at->second.name), below.origin(source.name));
  }
}

// Adds the tensors of a module that are made from the tensor `name` of the file. `ldm`: its usual spelling, which
// begins with the place of the module.
void add_rows(AdaptedCheckpoint::Table& table, const LdmModule& module, std::string_view ldm, const std::string& name,
              CanonicalName* canonical_name, const Checkpoint& file) {
  const std::string_view inner = ldm.substr(module.ldm.size());
  for (const LdmPair& pair : module.pairs) {
    if (!inner.starts_with(pair.ldm)) continue;
    auto canonical =
        canonical_name(std::string(module.diffusers).append(pair.diffusers).append(inner.substr(pair.ldm.size())));
    if (!canonical) continue;
    const Transform transform = pair.transform == Transform::none ? canonical->transform : pair.transform;
    add_row(table, std::move(canonical->name), {name, transform}, file);
  }
}

// Of all places in single files. The modules are sorted by them.
std::string_view common_prefix(const LdmModules& modules) {
  if (modules.empty()) return {};
  const std::string_view first = modules.front().ldm, last = modules.back().ldm;
  return first.substr(0, std::ranges::mismatch(first, last).in1 - first.begin());
}
}  // namespace

std::shared_ptr<const Checkpoint> with_canonical_names(std::shared_ptr<const Checkpoint> files,
                                                       std::string_view component) {
  const ComponentNaming& naming = naming_of(component);
  AdaptedCheckpoint::Table table;
  for (const std::string& name : files->names()) {
    if (const auto canonical = naming.canonical(name)) {
      add_row(table, canonical->name, {name, canonical->transform}, *files);
    }
  }
  return std::make_shared<AdaptedCheckpoint>(std::move(files), std::move(table));
}

LdmNames::LdmNames(const LdmLayout& layout) {
  for (const ComponentNaming& naming : kNamings) {
    if (naming.ldm == nullptr) continue;
    LdmModules& modules = components_[std::string(naming.component)] = naming.ldm(layout);
    std::ranges::sort(modules, {}, &LdmModule::ldm);
  }
}

std::optional<Source> LdmNames::ldm_name(std::string_view component, std::string_view diffusers_name) const {
  const auto found = components_.find(component);
  if (found == components_.end()) return std::nullopt;
  for (const auto& [ldm, diffusers, pairs] : found->second) {
    if (!diffusers_name.starts_with(diffusers)) continue;
    const std::string_view inner = diffusers_name.substr(diffusers.size());
    for (const LdmPair& pair : pairs) {
      if (!inner.starts_with(pair.diffusers)) continue;
      return Source{std::string(ldm).append(pair.ldm).append(inner.substr(pair.diffusers.size())), pair.transform};
    }
  }
  return std::nullopt;
}

std::shared_ptr<const Checkpoint> LdmNames::component(std::shared_ptr<const Checkpoint> file,
                                                      std::string_view component) const {
  const std::vector<std::string> names = file->names();
  return this->component(std::move(file), component, names);
}

std::shared_ptr<const Checkpoint> LdmNames::component(std::shared_ptr<const Checkpoint> file,
                                                      std::string_view component,
                                                      std::span<const std::string> names) const {
  AdaptedCheckpoint::Table table;
  if (const auto found = components_.find(component); found != components_.end()) {
    const LdmModules& modules = found->second;
    const std::string_view prefix = common_prefix(modules);
    CanonicalName* const canonical = naming_of(component).canonical;
    for (const std::string& name : names) {
      const std::optional<std::string> usual = ldm_usual_spelling(name);
      const std::string_view ldm = usual ? std::string_view(*usual) : std::string_view(name);
      if (!ldm.starts_with(prefix)) continue;  // of another component, as most names are
      for (auto module = std::ranges::upper_bound(modules, ldm, {}, &LdmModule::ldm);
           module != modules.begin() && ldm.starts_with(std::prev(module)->ldm); --module) {
        add_rows(table, *std::prev(module), ldm, name, canonical, *file);
      }
    }
  }
  return std::make_shared<AdaptedCheckpoint>(std::move(file), std::move(table));
}

}  // namespace tempera
