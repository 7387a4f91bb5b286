#include "models_output.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "units.h"

namespace tempera::cli {
namespace {

constexpr size_t kShortHash = 10;  // as A1111 shows it

// The first bytes of a text that may be long, cut before a character of several bytes.
std::string cut(std::string_view text, size_t longest) {
  if (text.size() <= longest) return visible(text);
  while (longest > 0 && (static_cast<unsigned char>(text[longest]) & 0xc0) == 0x80) --longest;
  return visible(text.substr(0, longest)) + "...";
}

// The number of characters, which is that of the columns for most texts.
size_t width_of(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

using Row = std::array<std::string, 7>;

Row row_of(const ModelEntry& model) {
  return {visible(model.name),
          model.kind,
          model.prediction.empty() || model.prediction == "epsilon" ? model.base : model.base + ", " + model.prediction,
          fmt::format("{}", fmt::join(model.dtypes, ", ")),
          format_bytes(static_cast<double>(model.bytes)),
          model.sha256.substr(0, kShortHash),
          cut(fmt::format("{}", fmt::join(model.trigger_words, ", ")), 80)};
}

nlohmann::ordered_json entry_json(const ModelEntry& model) {
  return {{"name", model.name},
          {"path", model.path},
          {"kind", model.kind},
          {"base", model.base},
          {"prediction_type", model.prediction},
          {"dtypes", model.dtypes},
          {"bytes", model.bytes},
          {"trigger_words", model.trigger_words},
          {"hash", model.sha256.substr(0, kShortHash)},
          {"sha256", model.sha256},
          {"notes", model.notes}};
}

}  // namespace

std::string visible(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  return result;
}

std::string metadata_text(const std::map<std::string, std::string>& metadata) {
  constexpr size_t kLongest = 200;
  std::string text = metadata.empty() ? "" : "\nmetadata\n";
  for (const auto& [key, value] : metadata) text += fmt::format("  {}: {}\n", cut(key, 60), cut(value, kLongest));
  return text;
}

std::string models_table(const std::vector<ModelEntry>& models) {
  if (models.empty()) return "no models: name a folder with --models-dir DIR or in TEMPERA_MODELS\n";
  const Row heads = {"name", "kind", "base", "stored as", "size", "hash", "trigger words"};
  std::array<size_t, std::tuple_size_v<Row>> widths{};
  std::vector<Row> rows = {heads};
  for (const ModelEntry& model : models) rows.push_back(row_of(model));
  for (const Row& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  std::string text;
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (size_t i = 0; i < rows[r].size(); ++i)
      line += rows[r][i] + std::string(widths[i] - width_of(rows[r][i]) + 2, ' ');
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    if (r == 0) continue;
    for (const std::string& note : models[r - 1].notes) text += fmt::format("  note: {}\n", visible(note));
  }
  return text;
}

std::string model_text(const ModelEntry& model) {
  std::string text;
  const auto add = [&](std::string_view key, std::string_view value) {
    if (!value.empty()) text += fmt::format("{:<14}{}\n", key, visible(value));
  };
  add("name", model.name);
  add("path", model.path);
  add("kind", model.kind);
  add("base", model.base);
  add("prediction", model.prediction);
  add("stored as", fmt::format("{}", fmt::join(model.dtypes, ", ")));
  add("size", format_bytes(static_cast<double>(model.bytes)));
  add("trigger words", fmt::format("{}", fmt::join(model.trigger_words, ", ")));
  add("SHA-256", model.sha256);
  for (const std::string& note : model.notes) add("note", note);
  return text + metadata_text(model.metadata);
}

std::string check_text(const ModelCheck& check) {
  std::string text;
  for (const auto& [file, hash] : check.sha256) text += fmt::format("{}  {}\n", hash, visible(file));
  text += fmt::format("{} tensors with {} elements were read\n", check.tensors, check.elements);
  for (const std::string& sentence : check.confirmed) text += fmt::format("{}\n", visible(sentence));
  for (const std::string& fault : check.faults) text += fmt::format("fault: {}\n", visible(fault));
  return text + (check.good() ? "no faults\n" : "");
}

nlohmann::ordered_json models_json(const std::vector<ModelEntry>& models) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const ModelEntry& model : models) list.push_back(entry_json(model));
  return {{"models", list}};
}

nlohmann::ordered_json model_json(const ModelEntry& model) {
  nlohmann::ordered_json json = entry_json(model);
  json["metadata"] = model.metadata;
  return json;
}

nlohmann::ordered_json check_json(const ModelCheck& check) {
  return {{"model", entry_json(check.model)},
          {"sha256", check.sha256},
          {"tensors", check.tensors},
          {"elements", check.elements},
          {"confirmed", check.confirmed},
          {"faults", check.faults},
          {"good", check.good()}};
}

}  // namespace tempera::cli
