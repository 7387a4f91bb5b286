// verify_model: everything that can be checked without running a model.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "base/error.h"
#include "models/components.h"
#include "source/catalog/hash_store.h"
#include "source/catalog/list.h"
#include "source/catalog/sha256.h"
#include "source/catalog/trigger_words.h"
#include "source/locate.h"
#include "source/model_source.h"
#include "source/open.h"
#include "source/weight_files.h"
#include "weights/finite_values.h"
#include "weights/safetensors.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

constexpr size_t kMostFaults = 20;  // of each kind: a file of another model has thousands

class Verification {
 public:
  Verification(const EngineOptions& engine, std::string_view name, const ModelCallbacks& callbacks)
      : engine_(engine), callbacks_(callbacks) {
    const fs::path path = locate(engine, FileKind::checkpoint, name);
    check_.model = entry_of(found_at(path));
    open(path);
  }

  ModelCheck run() && {
    for (const fs::path& file : files_) total_ += 2 * fs::file_size(file);  // each is read for its hash and its values
    for (const fs::path& file : files_) check_hash(file);
    for (const fs::path& file : files_) check_hash_of_tensors(file);
    for (const auto& weights : weights_) check_values(*weights);
    return std::move(check_);
  }

 private:
  void add_fault(std::string fault) { check_.faults.push_back(std::move(fault)); }

  // The weights whose values are read. A model that cannot be opened is a fault; its file is read if it can be.
  void open(const fs::path& path) {
    std::error_code ignored;
    if (check_.model.kind == "checkpoint") {
      try {
        add_model(open_model(path, open_options(engine_, {})));
        return;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::bad_file) throw;
        add_fault(error.what());
      }
    }
    try {
      if (fs::is_directory(path, ignored)) {
        add_folder(path);
      } else {
        weights_.push_back(open_tensor_file(path));
        files_ = {path};
      }
    } catch (const Error& error) {
      if (check_.faults.empty()) add_fault(error.what());
      if (fs::is_regular_file(path, ignored)) files_ = {path};
    }
  }

  void add_model(const ModelSource& source) {
    std::set<fs::path> files;
    for (const auto& [name, config] : component_configs(source.config)) {
      const ComponentSource* part = source.find(name);
      if (part == nullptr) continue;
      check_shapes(name, config, *part->weights);
      weights_.push_back(part->weights);
      files.insert(part->files.begin(), part->files.end());
    }
    files_.assign(files.begin(), files.end());
  }

  void add_folder(const fs::path& folder) {
    for (const std::string_view stem : {"diffusion_pytorch_model", "model"}) {
      const auto files = look_for_weight_files(folder, stem, {engine_.variant, "", "fp16"});
      if (!files) continue;
      OpenedWeights opened = open_weight_files(*files);
      weights_.push_back(std::move(opened.checkpoint));
      files_.insert(files_.end(), opened.files.begin(), opened.files.end());
    }
    if (weights_.empty()) add_fault(fmt::format("'{}' has no weights under a name of diffusers", folder.string()));
  }

  void check_shapes(std::string_view component, const ComponentConfig& config, const Checkpoint& weights) {
    size_t faults = 0;
    for (const Parameter& parameter : parameters_of(config)) {
      std::string fault;
      try {
        const std::optional<CheckpointTensor> tensor = weights.find(parameter.name);
        const auto expected = parameter.shape.dims();
        if (!tensor)
          fault = fmt::format("the {} lacks {}", component, weights.origin(parameter.name));
        else if (!std::ranges::equal(tensor->dims, expected))
          fault = fmt::format("{} has the shape {}, but the configuration says {}", weights.origin(parameter.name),
                              dims_to_string(tensor->dims),
                              dims_to_string(std::vector<int64_t>(expected.begin(), expected.end())));
      } catch (const Error& error) {
        fault = error.what();
      }
      if (fault.empty()) continue;
      if (++faults <= kMostFaults) add_fault(std::move(fault));
    }
    if (faults > kMostFaults) add_fault(fmt::format("{} more tensors of the {}", faults - kMostFaults, component));
  }

  void report(uint64_t bytes) const {
    if (callbacks_.cancelled && callbacks_.cancelled()) fail(ErrorCode::cancelled, "stopped");
    if (callbacks_.progress) callbacks_.progress(std::min(done_ + bytes, total_), total_);
  }

  void check_hash(const fs::path& file) {
    const std::string known = known_hash(file).value_or("");
    const std::string hash =
        computed_hash(file, {[this](uint64_t done, uint64_t) { report(done); }, callbacks_.cancelled});
    done_ += fs::file_size(file);
    check_.sha256[file.string()] = hash;
    if (files_.size() == 1) check_.model.sha256 = hash;
    const auto compare = [&](const std::string& expected, std::string_view origin) {
      if (!expected.empty() && expected != hash)
        add_fault(fmt::format("the SHA-256 of '{}' is {}, but {} {}: fetch the file again", file.string(), hash, origin,
                              expected));
    };
    compare(known, "it was");
    compare(civitai_hash(file), "Civitai's file next to it says");
    compare(blob_hash(file), "its name in the Hugging Face cache says");
  }

  // ModelSpec's hash of the bytes after the header. It is still valid when another program has changed the metadata.
  void check_hash_of_tensors(const fs::path& file) {
    constexpr const char* kKey = "modelspec.hash_sha256";
    std::string expected;
    size_t first = 0;
    try {
      const SafetensorsFile opened(file);
      const auto at = opened.metadata().find(kKey);
      if (at == opened.metadata().end()) return;
      expected = at->second;
      first = opened.data_begin();
    } catch (const Error&) {
      return;  // GGUF, or malformed, which open() found
    }
    total_ += fs::file_size(file) - first;
    const std::string hash =
        sha256_of_file(file, {[this](uint64_t done, uint64_t) { report(done); }, callbacks_.cancelled}, first);
    done_ += fs::file_size(file) - first;
    if (same_hash(expected, hash)) {
      check_.confirmed.push_back(fmt::format("the tensors of '{}' have the SHA-256 of its {}", file.string(), kKey));
    } else {
      add_fault(fmt::format("the SHA-256 of the tensors of '{}' is {}, but its {} is {}: fetch the file again",
                            file.string(), hash, kKey, in_quotes(expected)));
    }
  }

  // `said` may begin with 0x, and may have capital letters.
  static bool same_hash(std::string said, const std::string& hash) {
    std::ranges::transform(said, said.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return said == hash || said == "0x" + hash;
  }

  // The hub names blobs of large files by their SHA-256.
  static std::string blob_hash(const fs::path& file) {
    std::error_code error;
    const std::string name = fs::canonical(file, error).filename().string();
    const bool is_hash = name.size() == 64 && name.find_first_not_of("0123456789abcdef") == name.npos;
    return is_hash ? name : "";
  }

  void check_values(const Checkpoint& weights) {
    size_t faults = 0;
    for (const std::string& name : weights.names()) {
      const std::optional<CheckpointTensor> tensor = readable(weights, name);
      if (!tensor) continue;
      const std::string fault = fault_in_values(*tensor);
      ++check_.tensors;
      check_.elements += static_cast<uint64_t>(tensor->elements());
      done_ += tensor->stored_bytes();
      report(0);
      if (fault.empty()) continue;
      if (++faults <= kMostFaults) add_fault(fmt::format("{} has {}", weights.origin(name), fault));
    }
    if (faults > kMostFaults)
      add_fault(fmt::format("{} more tensors have NaN or infinite elements", faults - kMostFaults));
  }

  // Nothing for a tensor that is stored in a type that is not supported.
  std::optional<CheckpointTensor> readable(const Checkpoint& weights, const std::string& name) {
    try {
      return weights.get(name);
    } catch (const Error& error) {
      add_fault(error.what());
      return std::nullopt;
    }
  }

  const EngineOptions& engine_;
  const ModelCallbacks& callbacks_;
  ModelCheck check_;
  std::vector<fs::path> files_;
  std::vector<std::shared_ptr<const Checkpoint>> weights_;
  uint64_t done_ = 0, total_ = 0;  // bytes
};

}  // namespace

ModelCheck verify_model(const EngineOptions& engine, std::string_view name, const ModelCallbacks& callbacks) {
  return Verification(engine, name, callbacks).run();
}

}  // namespace tempera
