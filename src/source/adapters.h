// The adapters of requests (LoRA and its relatives): opened files with their weights, and a model whose parameters they
// change.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "adapters/adapter_names.h"
#include "adapters/patched.h"
#include "source/model_source.h"
#include "source/word_embedding.h"
#include "tempera/request.h"

namespace tempera {

// An opened file, for one model.
struct Adapter {
  std::filesystem::path path;
  std::string label;  // the name in texts (model_label)
  // By component, without those that it does not change.
  std::map<std::string, std::shared_ptr<const AdapterChanges>, std::less<>> changes;
  size_t matched = 0;                  // tensors that change the model
  std::vector<std::string> unmatched;  // names of the others
  std::vector<WordEmbedding> words;    // embeddings in the file, for the text encoders
  // A1111's hash of the file, without the header: the metadata's sshs_model_hash. Empty if the file does not have it.
  std::string tensor_hash;
};

// An adapter in a request.
struct AdapterUse {
  std::shared_ptr<const Adapter> adapter;
  double unet_weight = 1, text_weight = 1;  // multipliers of its changes

  bool operator==(const AdapterUse&) const = default;
  // "NAME:UNET_WEIGHT:TEXT_WEIGHT", without a path; the text weight only if it differs or NAME contains a colon.
  std::string text() const;
};

// The opened adapters of an engine.
class Adapters {
 public:
  Adapters(ModelConfig model, LogSink log) : model_(std::move(model)), log_(std::move(log)) {}

  // Opens the adapters of Request::lora, in their order. A file that was opened before and has not changed is not
  // opened again. Tensors that match nothing in the model are a warning when a file is opened. Throws
  // Error(invalid_argument) for a weight that is no number, and as locate and open_model_adapter do.
  std::vector<AdapterUse> open(const EngineOptions& engine, std::span<const std::string> lora);

  // Memory of the host: the names of the model's parameters, and the names and factors' places of the remembered files.
  // About 2 KiB for each parameter and each change (measured). Elements stay in the files.
  size_t host_bytes() const;

  // Files that are remembered.
  static constexpr size_t kMostKnown = 16;

 private:
  // The state of a file on the disk. A file that is replaced or written has another one.
  struct FileState {
    uint64_t device = 0, inode = 0, bytes = 0;
    int64_t changed = 0;  // nanoseconds
    bool operator==(const FileState&) const = default;
  };
  struct Known {
    FileState state;
    std::shared_ptr<const Adapter> adapter;
  };
  static FileState state_of(const std::filesystem::path& path);
  std::shared_ptr<const Adapter> opened(const std::filesystem::path& path);

  ModelConfig model_;
  LogSink log_;
  std::optional<AdapterNames> names_;  // made for the first adapter
  std::deque<Known> known_;            // the most recently used first
  uint64_t opened_ = 0;
};

// The changes of a component, in their order.
std::vector<PatchedCheckpoint::Use> changes_of(std::span<const AdapterUse> uses, std::string_view component);

// The components of a model that adapters can change: the UNet and the text encoders.
class AdaptedComponents {
 public:
  // Puts a PatchedCheckpoint in the place of the weights of each of these components that is open. Those that have one
  // keep it.
  void wrap(ModelSource& model);
  // The changes from now on.
  void set(std::span<const AdapterUse> uses);

 private:
  std::map<std::string, std::shared_ptr<PatchedCheckpoint>, std::less<>> patched_;
  std::vector<AdapterUse> uses_;
};

}  // namespace tempera
