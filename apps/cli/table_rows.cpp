#include "table_rows.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "tempera/error.h"

namespace tempera::cli {
namespace {

constexpr const char* kHalf = "half";
constexpr std::string_view kWithin = "within:";

EngineOptions engine(std::string dtype, std::string attention, bool eager, std::string offload) {
  EngineOptions options;
  options.dtype = std::move(dtype);
  options.attention = std::move(attention);
  options.eager = eager;
  options.offload = std::move(offload);
  return options;
}

EngineOptions compiled(std::string offload) {
  return engine(kHalf, "flash", false, std::move(offload));
}

EngineOptions with_tiny_vae() {
  EngineOptions options = compiled("none");
  options.tiny_vae = "model";
  return options;
}

EngineOptions within(std::string budget) {
  EngineOptions options;
  options.memory_budget = std::move(budget);
  return options;
}

std::string known_rows() {
  std::vector<std::string_view> keys;
  for (const TableRow& row : table_rows()) keys.push_back(row.key);
  return fmt::format("{}", fmt::join(keys, ", "));
}

// A row with its budget in the key, which is a part of file names.
TableRow row_within(std::string_view key) {
  const std::string_view budget = key.substr(kWithin.size());
  const bool plain =
      std::ranges::all_of(budget, [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '%'; });
  if (budget.empty() || !plain)
    throw Error(ErrorCode::invalid_argument,
                fmt::format("--rows names '{}': give a size as for --memory-budget, such as 'within:4GiB'", key));
  return {std::string(key), fmt::format("tempera within {}", budget), within(std::string(budget))};
}

}  // namespace

const std::vector<TableRow>& table_rows() {
  static const std::vector<TableRow> rows = {
      {"fp32", "fp32, default attention", engine("fp32", "naive", true, "none")},
      {"fp16", "half precision", engine(kHalf, "naive", true, "none")},
      {"attention", "+ memory-efficient attention", engine(kHalf, "flash", true, "none")},
      {"compiled", "+ compiled", compiled("none")},
      {"model_offload", "compiled + model offload", compiled("model")},
      {"sequential_offload", "compiled + sequential offload", compiled("sequential")},
      {"vae_slicing", "compiled + VAE slicing", compiled("none"), 0, false, true},
      {"vae_slicing_sequential", "compiled + VAE slicing + sequential offload", compiled("sequential"), 0, false, true},
      {"prompt_embeds", "compiled + precomputed embeddings", compiled("none"), 0, true},
      {"tiny_vae", "compiled + tiny autoencoder", with_tiny_vae()},
      {"automatic", "tempera without options", EngineOptions()},
      {"one_picture", "tempera without options, one picture", EngineOptions(), 1},
      {"budget_2gib", "tempera within 2 GiB, one picture", within("2GiB"), 1},
  };
  return rows;
}

std::vector<TableRow> find_rows(std::string_view keys) {
  if (keys.empty()) return table_rows();
  std::vector<std::string_view> named, budgets;
  while (!keys.empty()) {
    const size_t end = std::min(keys.find(','), keys.size());
    const std::string_view key = keys.substr(0, end);
    keys.remove_prefix(std::min(end + 1, keys.size()));
    if (key.starts_with(kWithin)) {
      if (std::ranges::find(budgets, key) == budgets.end()) budgets.push_back(key);
    } else if (std::ranges::find(table_rows(), key, &TableRow::key) != table_rows().end()) {
      named.push_back(key);
    } else {
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("--rows names '{}': give some of {}, within:SIZE, with commas between them", key, known_rows()));
    }
  }
  std::vector<TableRow> wanted;
  for (const TableRow& row : table_rows())
    if (std::ranges::find(named, row.key) != named.end()) wanted.push_back(row);
  for (const std::string_view key : budgets) wanted.push_back(row_within(key));
  return wanted;
}

std::string half_precision(std::string_view device) {
  return device == "cuda" ? "fp16" : "bf16";
}

EngineOptions row_engine(const TableRow& row, const EngineOptions& conditions, std::string_view device) {
  EngineOptions engine = row.engine;
  if (engine.dtype == kHalf) engine.dtype = half_precision(device);
  Request request;
  for (const Field& field : request_fields()) {
    if (field.group != FieldGroup::engine || !field.has(FieldTrait::condition)) continue;
    if (const std::optional<std::string> value = field.get(request, conditions)) field.set(request, engine, *value);
  }
  if (row.engine.tiny_vae.empty()) engine.tiny_vae.clear();  // set only for the rows that decode with it
  return engine;
}

std::string row_options(const TableRow& row, std::string_view device) {
  const EngineOptions engine = row_engine(row, {}, device), plain;
  std::vector<std::string> words;
  for (const Field& field : request_fields()) {
    const std::optional<std::string> value = field.get({}, engine);
    if (!value || value == field.get({}, plain)) continue;
    words.emplace_back(field.flag);
    if (!field.placeholder.empty()) words.push_back(*value);
  }
  if (row.slicing) words.emplace_back("--vae-slicing");
  if (row.embeddings) words.emplace_back("--prompt-embeds FILE");
  if (row.images > 0) words.push_back(fmt::format("--images {}", row.images));
  return fmt::format("{}", fmt::join(words, " "));
}

}  // namespace tempera::cli
