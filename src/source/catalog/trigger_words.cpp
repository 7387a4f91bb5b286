#include "source/catalog/trigger_words.h"

#include <algorithm>
#include <cctype>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/json.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {
using nlohmann::json;

constexpr JsonLimits kLimits = {.max_bytes = 4 << 20};  // Civitai's files have the settings of many pictures
constexpr size_t kMostTags = 5;

void add(std::vector<std::string>& words, std::string word) {
  const auto space = [](unsigned char c) { return std::isspace(c) != 0; };
  word.erase(word.begin(), std::ranges::find_if_not(word, space));
  while (!word.empty() && space(static_cast<unsigned char>(word.back()))) word.pop_back();
  if (!word.empty() && std::ranges::find(words, word) == words.end()) words.push_back(std::move(word));
}

// null if there is no such file.
json sidecar(const fs::path& model, const char* extension) {
  fs::path file = model;
  file.replace_extension(extension);
  std::error_code ignored;
  return fs::is_regular_file(file, ignored) ? read_json_file(file, kLimits) : json();
}

// The tags of all folders of the training data, by how many pictures have them.
std::vector<std::string> frequent_tags(const std::string& text) {
  std::map<std::string, int64_t> counts;
  const json folders = parse_json(text, "ss_tag_frequency");
  if (!folders.is_object()) return {};
  for (const json& tags : folders)
    if (tags.is_object())
      for (const auto& [tag, count] : tags.items())
        if (count.is_number_integer()) counts[tag] += std::clamp<int64_t>(count.get<int64_t>(), 0, 1 << 30);
  std::vector<std::pair<std::string, int64_t>> sorted(counts.begin(), counts.end());
  std::ranges::stable_sort(sorted, std::greater(), &std::pair<std::string, int64_t>::second);
  std::vector<std::string> words;
  for (const auto& [tag, count] : sorted) {
    if (words.size() == kMostTags) break;
    add(words, tag);
  }
  return words;
}

}  // namespace

TriggerWords trigger_words(const fs::path& model, const std::map<std::string, std::string>& metadata) {
  TriggerWords result;
  const auto metadata_of = [&](const char* key) {
    const auto at = metadata.find(key);
    return at == metadata.end() ? std::string() : at->second;
  };
  const auto attempt = [&](auto&& work) {
    try {
      work();
    } catch (const Error& error) {
      result.problems.emplace_back(error.what());
    }
  };
  add(result.words, metadata_of("modelspec.trigger_phrase"));
  attempt([&] {
    const json notes = sidecar(model, ".json");
    if (notes.is_object() && notes.contains("activation text") && notes["activation text"].is_string())
      add(result.words, notes["activation text"].get<std::string>());
  });
  attempt([&] {
    const json version = sidecar(model, ".civitai.info");
    if (version.is_object() && version.contains("trainedWords"))
      for (const json& word : version["trainedWords"])
        if (word.is_string()) add(result.words, word.get<std::string>());
  });
  const std::string tags = metadata_of("ss_tag_frequency");
  if (result.words.empty() && !tags.empty()) attempt([&] { result.words = frequent_tags(tags); });
  return result;
}

std::string civitai_hash(const fs::path& model) {
  try {
    const json version = sidecar(model, ".civitai.info");
    if (!version.is_object() || !version.contains("files")) return {};
    for (const json& file : version["files"]) {
      const bool is_this = file.is_object() && file.value("name", json()) == model.filename().string();
      if (!is_this || !file.contains("hashes") || !file["hashes"].is_object()) continue;
      const json hash = file["hashes"].value("SHA256", json());
      if (!hash.is_string()) continue;
      std::string text = hash.get<std::string>();
      std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      return text;
    }
  } catch (const Error&) {
    // trigger_words() reports a file that cannot be read.
  }
  return {};
}

}  // namespace tempera
