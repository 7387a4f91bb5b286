// Checkpoints of several safetensors files.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "weights/safetensors.h"

namespace tempera {
namespace {
constexpr size_t kMaxValues = 50'000;  // names of tensors, above all; SDXL has 2,500

// Only a file in the same folder as the index. An index must not be able to name any other path.
bool is_plain_file_name(std::string_view name) {
  constexpr std::string_view kEnding = ".safetensors";
  return name.size() > kEnding.size() && name.ends_with(kEnding) && name.front() != '.' &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}
}  // namespace

std::map<std::string, std::string, std::less<>> parse_safetensors_index(std::string_view text, std::string_view what) {
  const nlohmann::json index = parse_json(text, what, {.max_values = kMaxValues, .max_elements = 1024, .max_depth = 8});
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    fail(ErrorCode::bad_file, "'{}' has no \"weight_map\": it is no index of safetensors files", what);
  }
  std::map<std::string, std::string, std::less<>> shards;
  for (const auto& [tensor, shard] : index["weight_map"].items()) {
    if (!shard.is_string() || !is_plain_file_name(shard.get_ref<const std::string&>())) {
      fail(ErrorCode::bad_file, "'{}': the tensor {} is not said to be in a .safetensors file of the same folder", what,
           in_quotes(tensor));
    }
    shards.emplace(tensor, shard.get_ref<const std::string&>());
  }
  return shards;
}

ShardedSafetensors::ShardedSafetensors(const std::filesystem::path& index) : index_(index) {
  const auto map = parse_safetensors_index(read_text_file(index, kMaxSafetensorsHeader), index.string());
  std::map<std::string_view, const SafetensorsFile*> files;
  for (const auto& [tensor, shard] : map) {
    const SafetensorsFile*& file = files[shard];
    if (file == nullptr) {
      std::error_code cannot_be_read;  // a name that is too long, for example
      if (!std::filesystem::exists(index.parent_path() / shard, cannot_be_read)) {
        fail(ErrorCode::bad_file,
             "'{}' is missing, and '{}' lists it: the model is incomplete, get the file from where the model came from",
             (index.parent_path() / shard).string(), index.filename().string());
      }
      shards_.push_back(std::make_unique<SafetensorsFile>(index.parent_path() / shard));
      file = shards_.back().get();
    }
    tensors_.emplace(tensor, file);
  }
  size_t found = 0;
  for (const auto& shard : shards_) {
    for (const std::string& name : shard->names()) {
      const auto listed = tensors_.find(name);
      if (listed == tensors_.end()) continue;  // not of the checkpoint
      if (listed->second != shard.get()) {
        fail(ErrorCode::bad_file, "'{}' puts the tensor {} into '{}', but '{}' has it too", index.string(),
             in_quotes(name), listed->second->path().filename().string(), shard->path().filename().string());
      }
      ++found;
    }
  }
  if (found == tensors_.size()) return;
  for (const auto& [name, file] : tensors_) {
    const std::vector<std::string> present = file->names();
    if (!std::binary_search(present.begin(), present.end(), name)) {
      fail(ErrorCode::bad_file, "'{}' says that '{}' has the tensor {}, but it has not: get both again", index.string(),
           file->path().filename().string(), in_quotes(name));
    }
  }
}

const std::map<std::string, std::string>& ShardedSafetensors::metadata() const {
  return shards_.empty() ? Checkpoint::metadata() : shards_.front()->metadata();
}

std::vector<std::string> ShardedSafetensors::names() const {
  std::vector<std::string> names;
  names.reserve(tensors_.size());
  for (const auto& [name, file] : tensors_) names.push_back(name);
  return names;
}

std::optional<CheckpointTensor> ShardedSafetensors::find(std::string_view name) const {
  const auto at = tensors_.find(name);
  return at == tensors_.end() ? std::nullopt : at->second->find(name);
}

std::string ShardedSafetensors::origin(std::string_view name) const {
  const auto at = tensors_.find(name);
  return at == tensors_.end() ? fmt::format("{} in '{}'", in_quotes(name), index_.string()) : at->second->origin(name);
}

}  // namespace tempera
