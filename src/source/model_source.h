// Opening a model from a diffusers folder or a single file. The result is the same for both: the configuration of the
// model, and one checkpoint per component under diffusers' names. Files are mapped and their headers are read, but no
// weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "models/components.h"
#include "models/config.h"
#include "source/recorded_names.h"
#include "tempera/log.h"
#include "weights/checkpoint.h"

namespace tempera {

struct OpenOptions {
  // A folder with diffusers configs to believe instead of the model's own; single files need it when their heads are
  // not 64 wide. Empty: none.
  std::filesystem::path model_config = {};
  // A folder with vocab.json and merges.txt or tokenizer.json, or one that has such folders as tokenizer and
  // tokenizer_2. Empty: the model's own, else model_config's; a single file has none and then uses CLIP's.
  std::filesystem::path tokenizer = {};
  // Of a diffusers folder's weight files: "fp16" prefers X.fp16.safetensors. Empty: X.safetensors, else the fp16 ones.
  std::string variant = {};
  // Replaces the UNet of the model: a file or a folder (source/unet_source.h), and its config. The model's own UNet
  // then need not be there. Empty: the model's own.
  std::filesystem::path unet = {};
  std::filesystem::path unet_config = {};
  // An autoencoder instead of the model's own, which need not be there then: a file or a folder (source/vae_file.h).
  // Empty: the model's own.
  std::filesystem::path vae = {};
  LogSink log = {};  // may be empty
  // Of a diffusers folder. false: the text encoders need not be there; open_text_encoders opens them later.
  bool text_encoders = true;
};

struct ComponentSource {
  std::shared_ptr<const Checkpoint> weights;  // under diffusers' names; never null
  std::vector<std::filesystem::path> files;   // all files of `weights`
  std::string variant;                        // "fp16" where such files were chosen
  int64_t parameters = 0;
  std::map<std::string_view, int64_t> parameters_by_type;  // by CheckpointTensor::stored_type()
  uint64_t bytes = 0;                                      // of the tensors; other components may share the file
};

// From the weights' headers.
void count_parameters(ComponentSource& component);

// A component that is opened alone, not as a part of a model.
struct LoneComponent {
  std::string name;            // models/components.h
  std::filesystem::path path;  // of the folder or the file
  ComponentConfig config;
  ComponentSource component;
};

// Defaults for fields that a request leaves out: diffusers' own numbers, unless the model has a defaults.json, an
// object with these names.
struct RequestDefaults {
  int num_inference_steps = 50;
  double guidance_scale = 5.0;
};

struct ModelSource {
  enum class Layout : uint8_t { diffusers_folder, single_file };

  std::filesystem::path path;
  Layout layout = Layout::diffusers_folder;
  ModelConfig config;
  RequestDefaults defaults;
  // By name (models/components.h), without absent components and those that are not opened yet. Pictures need `vae` or
  // a tiny autoencoder (require_vae in source/vae_file.h).
  std::map<std::string, ComponentSource, std::less<>> components;
  // Text encoders that a diffusers folder was saved without. `config` then has their widths only.
  std::vector<std::string> absent_text_encoders;
  // Folders. Empty: the model has none; single files then use the built-in vocabulary of CLIP. They are equal if one
  // folder was given for both encoders.
  std::filesystem::path tokenizer, tokenizer_2;
  std::string scheduler_config;  // diffusers JSON; empty if a diffusers folder has none
  std::string scheduler_origin;  // where it is from, for messages
  RecordedNames names;           // set by open_model_of

  // nullptr for an absent component.
  const ComponentSource* find(std::string_view component) const;
  // Throws Error(internal) for an absent component.
  const ComponentSource& component(std::string_view name) const;
  // Of all files, each counted once.
  uint64_t file_bytes() const;
  // "SDXL", "SDXL refiner", "SDXL inpainting".
  std::string_view kind() const;
};

// Throws Error(bad_file) naming the file and the remedy: no such model, not SDXL, a component missing, a truncated or
// malformed file, a pickle, configs that do not fit each other; Error(invalid_argument) for a variant that is no word
// or that no component has.
ModelSource open_model(const std::filesystem::path& model, const OpenOptions& options = {});

// Opens the text encoders if options.text_encoders was false in open_model. Other `options` must be the same. Throws as
// open_model does, and Error(bad_file) if the model was saved without them.
void open_text_encoders(ModelSource& source, const OpenOptions& options);

}  // namespace tempera
