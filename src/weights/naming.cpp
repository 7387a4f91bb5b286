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
struct ComponentNaming {
  std::string_view component;
  std::optional<Source> (*canonical)(std::string_view name);  // as in canonical.h
  LdmPairs (*ldm)(const LdmLayout& layout);                   // nullptr: single files do not carry the component
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
void add_row(AdaptedCheckpoint::Table& table, const std::string& name, const Source& source, const Checkpoint& below) {
  const auto [at, is_new] = table.emplace(name, source);
  if (!is_new) {
    fail(ErrorCode::bad_file, "the tensors {} and {} are the same weight under two names",
         below.origin(at->second.name), below.origin(source.name));
  }
}
// Of all names in single files. The pairs are sorted by them.
std::string_view common_prefix(const LdmPairs& pairs) {
  if (pairs.empty()) return {};
  const std::string_view first = pairs.front().ldm, last = pairs.back().ldm;
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
    LdmPairs& pairs = components_[std::string(naming.component)] = naming.ldm(layout);
    std::ranges::sort(pairs, {}, &LdmPair::ldm);
  }
}

std::optional<Source> LdmNames::ldm_name(std::string_view component, std::string_view diffusers_name) const {
  const auto found = components_.find(component);
  if (found == components_.end()) return std::nullopt;
  const auto pair = std::ranges::find_if(
      found->second, [&](const LdmPair& candidate) { return diffusers_name.starts_with(candidate.diffusers); });
  if (pair == found->second.end()) return std::nullopt;
  return Source{pair->ldm + std::string(diffusers_name.substr(pair->diffusers.size())), pair->transform};
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
    const LdmPairs& pairs = found->second;
    const auto canonical_name = naming_of(component).canonical;
    const std::string_view prefix = common_prefix(pairs);
    for (const std::string& name : names) {
      const std::optional<std::string> usual = ldm_usual_spelling(name);
      const std::string_view ldm = usual ? std::string_view(*usual) : std::string_view(name);
      if (!ldm.starts_with(prefix)) continue;  // of another component, as most names are
      // Several pairs with the same prefix: q, k and v in one tensor.
      for (auto pair = std::ranges::upper_bound(pairs, ldm, {}, &LdmPair::ldm);
           pair != pairs.begin() && ldm.starts_with(std::prev(pair)->ldm); --pair) {
        const auto& [from, diffusers, given] = *std::prev(pair);
        const auto canonical = canonical_name(std::string(diffusers).append(ldm.substr(from.size())));
        if (!canonical) continue;
        const Transform transform = given == Transform::none ? canonical->transform : given;
        add_row(table, canonical->name, {name, transform}, *file);
      }
    }
  }
  return std::make_shared<AdaptedCheckpoint>(std::move(file), std::move(table), names);
}

}  // namespace tempera
