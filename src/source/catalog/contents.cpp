#include "source/catalog/contents.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "source/weight_files.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

// The names of the types, the one with the most elements first.
std::vector<std::string> dtypes_of(const Checkpoint& file) {
  std::map<std::string, int64_t> elements;
  for (const std::string& name : file.names()) {
    try {
      const CheckpointTensor tensor = file.get(name);
      elements[std::string(tensor.stored_type())] += tensor.elements();
    } catch (const Error&) {
      elements["others"] += 1;  // a type that is not supported
    }
  }
  std::vector<std::pair<std::string, int64_t>> sorted(elements.begin(), elements.end());
  std::ranges::stable_sort(sorted, std::greater(), &std::pair<std::string, int64_t>::second);
  std::vector<std::string> names;
  names.reserve(sorted.size());
  for (const auto& [name, count] : sorted) names.push_back(name);
  return names;
}

void read_weights(ModelContents& contents, const Checkpoint& file) {
  contents.type = classify(file);
  contents.dtypes = dtypes_of(file);
  contents.metadata = file.metadata();
}

uint64_t bytes_in(const fs::path& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (!entry->is_regular_file(ignored)) continue;
    if (const uintmax_t size = entry->file_size(ignored); !ignored) bytes += size;
  }
  return bytes;
}

// The weights of a component's folder, in the variant that open_model prefers.
void read_component(ModelContents& contents, const fs::path& folder) {
  for (const std::string_view stem : {"diffusion_pytorch_model", "model"}) {
    const auto files = look_for_weight_files(folder, stem, {"", "fp16"});
    if (!files) continue;
    read_weights(contents, *open_weight_files(*files).checkpoint);
    return;
  }
  contents.problem = "it has no weights under a name of diffusers";
}

void read_diffusers_model(ModelContents& contents, const fs::path& folder) {
  const fs::path file = folder / "model_index.json";
  const nlohmann::json index = read_json_file(file, {.max_bytes = 1 << 20, .max_values = 10'000});
  const std::string pipeline = find_string(index, "_class_name", file.string()).value_or("");
  read_component(contents, folder / "unet");
  contents.type.kind = FileKind::checkpoint;
  contents.type.reason = pipeline;
  const fs::path scheduler = folder / "scheduler/scheduler_config.json";
  std::error_code ignored;
  if (!fs::exists(scheduler, ignored)) return;
  const nlohmann::json config = read_json_file(scheduler, {.max_bytes = 1 << 20, .max_values = 10'000});
  contents.type.prediction = find_string(config, "prediction_type", scheduler.string()).value_or("");
  contents.type.zero_terminal_snr = find_bool(config, "rescale_betas_zero_snr", scheduler.string()).value_or(false);
}

void read(ModelContents& contents, const FoundModel& model) {
  switch (model.form) {
    case FoundModel::Form::safetensors:
    case FoundModel::Form::gguf:
      contents.bytes = fs::file_size(model.path);
      return read_weights(contents, *open_tensor_file(model.path));
    case FoundModel::Form::pickle:
      contents.bytes = fs::file_size(model.path);
      contents.problem = "a pickle, not opened: convert it to safetensors";
      return;
    case FoundModel::Form::diffusers_model:
      contents.bytes = bytes_in(model.path);
      return read_diffusers_model(contents, model.path);
    case FoundModel::Form::diffusers_folder:
      contents.bytes = bytes_in(model.path);
      return read_component(contents, model.path);
  }
}

}  // namespace

ModelContents read_contents(const FoundModel& model) {
  ModelContents contents;
  try {
    read(contents, model);
  } catch (const Error& error) {
    contents.problem = error.what();
  } catch (const fs::filesystem_error& error) {
    contents.problem = error.code().message();
  }
  return contents;
}

}  // namespace tempera
