// An adapter file: the tensors of a LoRA or one of its relatives, by the parameters of a model that they change.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/adapter_names.h"
#include "adapters/layer.h"

namespace tempera {

struct AdapterFile {
  std::vector<AdapterLayer> layers;    // in the order of the parameters; each parameter once
  size_t matched = 0;                  // tensors in `layers` and `embeddings`
  std::vector<std::string> unmatched;  // names of tensors that change nothing in this model, sorted
  // Names in the spelling of single files that are left out, because the file also has diffusers' spelling. diffusers
  // leaves them out too (loaders/lora_conversion_utils.py).
  std::vector<std::string> left_out;
  // Textual inversion embeddings in the file (bundle_emb.WORD.*), by word. Each has "clip_l", "clip_g" or
  // "string_to_param": vectors (V, W) or one vector (W).
  std::map<std::string, std::map<std::string, CheckpointTensor>> embeddings;
  std::map<std::string, std::string> metadata;
};

// Sorts the tensors of `file`. If a layer has neither alpha nor scale and the metadata has PEFT's configuration
// (lora_adapter_metadata), the layer gets a part "scale" from it. The part on_input is float32 here. Throws
// Error(bad_file) as check_adapter_part and adapter_formula do, and if two tensors are the same part of one parameter.
// No match at all is not an error here. `what`: the file, for messages about its metadata.
AdapterFile read_adapter(const Checkpoint& file, const AdapterNames& names, std::string_view what);

// The same for a safetensors or GGUF file. Throws also as open_tensor_file does.
AdapterFile open_adapter(const std::filesystem::path& path, const AdapterNames& names);

}  // namespace tempera
