// The safetensors format: 8 bytes of header length (little-endian), a JSON header with types, shapes and byte ranges,
// then the bytes. The reader checks all rules of the format before it returns a byte: types are known, ranges have
// exactly the length of their shapes, and they cover the data without gap, overlap or remainder. Format: README of
// huggingface/safetensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "base/mapped_file.h"
#include "weights/checkpoint.h"

namespace tempera {

// The longest header accepted, as on the Hugging Face hub; SDXL's has 0.4 MB.
inline constexpr size_t kMaxSafetensorsHeader = 25'000'000;

struct SafetensorsEntry {
  std::string name;
  std::string_view dtype_name;  // the format's, "BF16"
  std::optional<DType> dtype;   // nothing: a type of the format that this program does not support
  std::vector<int64_t> dims;
  size_t begin = 0, end = 0;  // bytes of the file
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> tensors;  // sorted by name
  std::map<std::string, std::string> metadata;
  size_t data_begin = 0;  // the first byte after the header
};

// Reads and checks the header of the file whose whole contents are `file`. Throws Error(bad_file, "'<what>' ...").
SafetensorsHeader parse_safetensors(std::span<const std::byte> file, std::string_view what);

// The format's name of a type, "F16". Throws Error(internal) for a type without a name.
std::string_view safetensors_name(DType type);

// One mapped file.
class SafetensorsFile final : public Checkpoint {
 public:
  // Throws Error(bad_file) as parse_safetensors, and for a pickle, with the file to use instead.
  explicit SafetensorsFile(const std::filesystem::path& path);
  explicit SafetensorsFile(std::shared_ptr<const MappedFile> file);

  const std::filesystem::path& path() const { return file_->path(); }
  size_t size() const { return file_->bytes().size(); }
  const std::map<std::string, std::string>& metadata() const override { return header_.metadata; }
  // The place of the first byte after the header.
  size_t data_begin() const { return header_.data_begin; }

  std::vector<std::string> names() const override;
  std::optional<CheckpointTensor> find(std::string_view name) const override;
  std::string origin(std::string_view name) const override;

 private:
  const SafetensorsEntry* entry(std::string_view name) const;

  std::shared_ptr<const MappedFile> file_;  // its readers own it too
  SafetensorsHeader header_;
};

// tensor -> shard, from the text of a "<name>.safetensors.index.json". Every shard must be a plain name of a file in
// the same folder as the index. Throws Error(bad_file, "'<what>' ...").
std::map<std::string, std::string, std::less<>> parse_safetensors_index(std::string_view text, std::string_view what);

// Several files and the index with the file of each tensor.
class ShardedSafetensors final : public Checkpoint {
 public:
  // Throws Error(bad_file), also when a shard is missing, when a tensor is not in its shard, or when it is also in
  // another one.
  explicit ShardedSafetensors(const std::filesystem::path& index);

  const std::vector<std::unique_ptr<SafetensorsFile>>& shards() const { return shards_; }

  // Of the first file. Programs that split a model write the same to every file.
  const std::map<std::string, std::string>& metadata() const override;
  std::vector<std::string> names() const override;
  std::optional<CheckpointTensor> find(std::string_view name) const override;
  std::string origin(std::string_view name) const override;

 private:
  std::filesystem::path index_;
  std::vector<std::unique_ptr<SafetensorsFile>> shards_;
  std::map<std::string, const SafetensorsFile*, std::less<>> tensors_;
};

// Throws Error(bad_file) when `first_bytes` (16 or more if the file has them) or, if they decide nothing, the name of
// `path` show a kind of file that is never read here. Pickles can run code when they are opened.
void refuse_other_formats(std::span<const std::byte> first_bytes, const std::filesystem::path& path);

}  // namespace tempera
