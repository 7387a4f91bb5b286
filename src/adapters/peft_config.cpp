#include "adapters/peft_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace tempera {
namespace {

using nlohmann::json;

constexpr const char* kKey = "lora_adapter_metadata";
constexpr JsonLimits kLimits = {.max_bytes = 4 << 20, .max_values = 100'000};

// "^" at the beginning: the whole name. Dots of a regular expression are those of names.
bool matches(std::string_view module, std::string_view pattern) {
  const bool whole = pattern.starts_with('^');
  if (whole) pattern.remove_prefix(1);
  if (pattern.ends_with('$')) pattern.remove_suffix(1);
  if (module == pattern) return true;
  return !whole && module.ends_with(pattern) && module[module.size() - pattern.size() - 1] == '.';
}

bool is_name(std::string_view pattern) {
  if (pattern.starts_with('^')) pattern.remove_prefix(1);
  if (pattern.ends_with('$')) pattern.remove_suffix(1);
  return !pattern.empty() && std::ranges::all_of(pattern, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-';
  });
}

}  // namespace

PeftConfig::PeftConfig(const std::map<std::string, std::string>& metadata, std::string_view what)
    : what_(fmt::format("{} ({})", what, kKey)) {
  const auto text = metadata.find(kKey);
  if (text == metadata.end()) return;
  const json config = parse_json(text->second, what_, kLimits);
  for (const std::string component : {"unet", "text_encoder", "text_encoder_2"}) {
    Component& row = components_[component];
    row.alpha = find_number(config, component + ".lora_alpha", what_);
    row.rank_stabilised = find_bool(config, component + ".use_rslora", what_).value_or(false);
    const auto patterns = config.find(component + ".alpha_pattern");
    if (patterns == config.end() || patterns->is_null()) continue;
    for (const auto& [pattern, alpha] : patterns->items()) {
      if (!is_name(pattern)) {
        fail(ErrorCode::bad_file,
             "'{}': the alpha_pattern {} is a regular expression, which is not supported: write the names of modules",
             what_, in_quotes(pattern));
      }
      row.patterns.emplace_back(pattern, get_number(*patterns, pattern, what_));
    }
  }
}

std::optional<float> PeftConfig::scale(const ModelParameter& parameter, int64_t rank) const {
  const auto at = components_.find(parameter.component);
  if (at == components_.end()) return std::nullopt;
  const Component& row = at->second;
  const std::string_view module = std::string_view(parameter.name).substr(0, parameter.name.rfind('.'));
  std::optional<double> alpha;
  for (const auto& [pattern, value] : row.patterns) {
    if (!matches(module, pattern)) continue;
    if (alpha && *alpha != value) {
      fail(ErrorCode::bad_file, "'{}': alpha_pattern has {} and {} for {}: write one alpha for each module", what_,
           *alpha, value, in_quotes(module));
    }
    alpha = value;
  }
  if (!alpha) alpha = row.alpha;
  if (!alpha) return std::nullopt;
  const auto r = static_cast<double>(rank);
  return static_cast<float>(*alpha / (row.rank_stabilised ? std::sqrt(r) : r));
}

}  // namespace tempera
