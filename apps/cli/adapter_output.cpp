#include "adapter_output.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "models_output.h"
#include "units.h"

namespace tempera::cli {
namespace {

std::string rank_text(const AdapterInfo& info) {
  if (info.largest_rank == 0) return "";
  return info.least_rank == info.largest_rank ? fmt::format("{}", info.largest_rank)
                                              : fmt::format("{} to {}", info.least_rank, info.largest_rank);
}

std::string words_text(const AdapterInfo& info) {
  std::vector<std::string> words;
  for (const EmbeddingInfo& embedding : info.embeddings) {
    std::vector<std::string> vectors;
    for (const auto& [encoder, count] : embedding.vectors) vectors.push_back(fmt::format("{} in {}", count, encoder));
    words.push_back(fmt::format("{} (vectors: {})", embedding.word, fmt::join(vectors, ", ")));
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

}  // namespace

std::string adapter_text(const AdapterInfo& info) {
  ModelEntry entry = info.model;
  const auto metadata = std::exchange(entry.metadata, {});
  std::string text = model_text(entry);
  const auto add = [&](std::string_view key, std::string_view value) {
    if (!value.empty()) text += fmt::format("{:<14}{}\n", key, visible(value));
  };
  add("formulas", fmt::format("{}", fmt::join(info.formulas, ", ")));
  add("rank", rank_text(info));
  add("embeddings", words_text(info));
  for (const AdapterComponent& component : info.components) {
    add("changes", fmt::format("{}: {} parameters with {} elements", component.name, component.parameters,
                               format_count(static_cast<double>(component.elements))));
  }
  add("tensors", fmt::format("{} match SDXL, {} do not", info.matched, info.unmatched.size()));
  return text + metadata_text(metadata);
}

nlohmann::ordered_json adapter_json(const AdapterInfo& info) {
  nlohmann::ordered_json json = model_json(info.model);
  json["formulas"] = info.formulas;
  json["least_rank"] = info.least_rank;
  json["largest_rank"] = info.largest_rank;
  json["components"] = nlohmann::ordered_json::array();
  for (const AdapterComponent& component : info.components) {
    json["components"].push_back(
        {{"name", component.name}, {"parameters", component.parameters}, {"elements", component.elements}});
  }
  json["matched"] = info.matched;
  json["unmatched"] = info.unmatched;
  json["embeddings"] = nlohmann::ordered_json::array();
  for (const EmbeddingInfo& embedding : info.embeddings)
    json["embeddings"].push_back({{"word", embedding.word}, {"vectors", embedding.vectors}});
  return json;
}

}  // namespace tempera::cli
