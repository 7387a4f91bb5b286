#include "source/catalog/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/folder.h"
#include "base/json.h"
#include "models/components.h"
#include "source/catalog/scan.h"
#include "weights/safetensors.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxJsonBytes = 25'000'000;  // an index of shards lists all tensors

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// The shards of an index that are not there.
std::vector<std::string> missing_shards(const fs::path& index) {
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : parse_safetensors_index(read_text_file(index, kMaxJsonBytes), index.string()))
    shards.insert(shard);
  std::erase_if(shards, [&](const std::string& shard) { return is_there(index.parent_path() / shard); });
  return {shards.begin(), shards.end()};
}

// The weight files of `folder` that are missing, in any variant: empty if there is a whole file or an index with all
// its shards. diffusers and transformers name both "<stem>....safetensors" and "<stem>.safetensors....json".
std::vector<std::string> missing_weights(const fs::path& folder, std::string_view stem) {
  const std::string prefix = fmt::format("{}.", stem);
  std::vector<std::string> missing;
  for (const std::string& file : names_in(folder)) {
    if (!file.starts_with(prefix) || !is_there(folder / file)) continue;
    if (file.ends_with(".safetensors") && file.find("-of-") == file.npos) return {};
    if (!file.ends_with(".json") || file.find(".safetensors.") == file.npos) continue;
    const std::vector<std::string> shards = missing_shards(folder / file);
    if (shards.empty()) return {};
    if (missing.empty()) missing = shards;
  }
  if (missing.empty()) missing = {fmt::format("{}.safetensors", stem)};
  return missing;
}

bool is_component_of(const nlohmann::json& index, std::string_view name) {
  const auto at = index.find(name);
  return at != index.end() && at->is_array() && at->size() == 2 && !(*at)[0].is_null();
}

std::vector<std::string> missing_parts(const fs::path& folder) {
  const fs::path file = folder / "model_index.json";
  const nlohmann::json index = read_json_file(file, {.max_bytes = 1 << 20, .max_values = 10'000});
  if (!index.is_object()) fail(ErrorCode::bad_file, "'{}' is no JSON object", file.string());
  std::vector<std::string> missing;
  const auto need = [&](const std::string& name) {
    if (!is_there(folder / name)) missing.push_back(name);
  };
  for (const ComponentKind& kind : component_kinds()) {
    if (!is_component_of(index, kind.name)) continue;
    need(fmt::format("{}/config.json", kind.name));
    for (const std::string& weights : missing_weights(folder / kind.name, kind.weights_stem()))
      missing.push_back(fmt::format("{}/{}", kind.name, weights));
  }
  if (is_component_of(index, "scheduler")) need("scheduler/scheduler_config.json");
  return missing;
}

}  // namespace

Snapshot read_snapshot(const fs::path& folder) {
  if (is_there(folder / "model_index.json")) return {folder, missing_parts(folder)};
  std::vector<std::string> weights;
  for (const std::string& file : names_in(folder))
    if (form_of_file(file) == FoundModel::Form::safetensors && is_there(folder / file)) weights.push_back(file);
  if (is_there(folder / "config.json") && !weights.empty()) {
    for (const std::string_view stem : {"diffusion_pytorch_model", "model"})
      if (weights.front().starts_with(stem)) return {folder, missing_weights(folder, stem)};
    return {folder, {}};
  }
  if (weights.size() == 1) return {folder / weights.front(), {}};
  return {folder, {"model_index.json"}};
}

void check_links(const fs::path& snapshot, const fs::path& blobs) {
  std::error_code error;
  const fs::path allowed = fs::weakly_canonical(blobs, error);
  for (fs::recursive_directory_iterator entry(snapshot, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (!entry->is_symlink(ignored)) continue;
    // Of a link to a file that is not there, weakly_canonical resolves the folders only.
    const fs::path link = entry->path().parent_path() / fs::read_symlink(entry->path(), ignored);
    const fs::path target = fs::weakly_canonical(link, ignored);
    const auto [rest, other] = std::mismatch(allowed.begin(), allowed.end(), target.begin(), target.end());
    if (rest == allowed.end() && other != target.end()) continue;
    fail(ErrorCode::bad_file, "'{}' is a symbolic link to '{}', which is outside of '{}': remove it and fetch it again",
         entry->path().string(), target.string(), allowed.string());
  }
}

}  // namespace tempera
