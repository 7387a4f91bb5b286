// The models of this machine: those in the model folders (docs/MODELS.md) and in the cache of the Hugging Face hub.
// Lists read headers only. Hashes are kept in a file in the user's cache folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tempera/request.h"

namespace tempera {

struct ModelEntry {
  std::string name = {};  // for EngineOptions::model and other options: "sdxl/base.safetensors", "org/name"
  std::string path = {};
  std::string kind = {};                 // "checkpoint", "unet", "vae", "tiny_vae", "lora", ..., "unknown"
  std::string base = {};                 // the family: "SDXL", "SDXL refiner", "Stable Diffusion 1"; empty: not known
  std::string prediction = {};           // "epsilon", "v_prediction"; empty: the file does not say
  std::vector<std::string> dtypes = {};  // of the elements, the most frequent first: "f16"; of a folder, of the UNet
  uint64_t bytes = 0;                    // of the file, or of all files of the folder
  // From metadata (modelspec.trigger_phrase), and from NAME.json and NAME.civitai.info next to the file. If a LoRA has
  // none there: the five most frequent tags of its training.
  std::vector<std::string> trigger_words = {};
  std::string sha256 = {};              // 64 hexadecimal digits; empty: not known, or a folder
  std::vector<std::string> notes = {};  // sentences: why it is not usable, or that its folder is for another kind
  std::map<std::string, std::string> metadata = {};  // of the file
};

// `progress` is called after each piece of a file, and `cancelled` is polled there. Both may be empty.
struct ModelCallbacks {
  std::function<void(uint64_t done, uint64_t total)> progress = {};  // bytes
  std::function<bool()> cancelled = {};                              // true stops with Error(cancelled)
};

// All models, in the order of the folders, those of the hub last. Throws Error(bad_file) if a folder is not there or a
// file that names folders is malformed. Malformed models are listed with a note.
std::vector<ModelEntry> list_models(const EngineOptions& engine);

// One model, by a name or a path. Throws Error(bad_file) if there is no such model, or if several models have the name.
ModelEntry describe_model(const EngineOptions& engine, std::string_view name);

// The parameters of one component that an adapter changes.
struct AdapterComponent {
  std::string name = {};  // "unet", "text_encoder", "text_encoder_2"
  size_t parameters = 0;  // weights and biases, each counted once
  uint64_t elements = 0;  // of all of them
};

// An embedding of textual inversion: in a file of its own, or in the file of an adapter.
struct EmbeddingInfo {
  std::string word = {};                       // for prompts; of a file of its own: the name of the file
  std::map<std::string, size_t> vectors = {};  // by text encoder: "text_encoder" (CLIP L), "text_encoder_2"
};

struct AdapterInfo {
  ModelEntry model = {};                     // of kind "lora" or "embedding", as describe_model returns it
  std::vector<std::string> formulas = {};    // "LoRA", "LoCon", "LoHa", "LoKr", "DoRA", "GLoRA", "IA3", "OFT", "full"
  int64_t least_rank = 0, largest_rank = 0;  // 0: no formula has a rank
  std::vector<AdapterComponent> components = {};  // of SDXL base, in the order unet, text_encoder, text_encoder_2
  size_t matched = 0;                             // tensors of the file that change these parameters
  std::vector<std::string> unmatched = {};        // names of tensors that change nothing in SDXL base
  std::vector<EmbeddingInfo> embeddings = {};
};

// The file that EngineOptions::model names, if it is an adapter or an embedding; nothing if it is another model. Reads
// headers only. Throws Error(bad_file) as describe_model does, and for a malformed adapter.
std::optional<AdapterInfo> adapter_info(const EngineOptions& engine);

// The SHA-256 of a file, if it is known. Reads only the file with the hashes.
std::optional<std::string> known_model_hash(const std::filesystem::path& file);
// The known hash. If there is none, computes the hash and stores it. Throws Error(io), Error(cancelled).
std::string model_hash(const std::filesystem::path& file, const ModelCallbacks& callbacks = {});

struct ModelCheck {
  ModelEntry model = {};
  std::map<std::string, std::string> sha256 = {};  // by the path of each file of weights, computed from its bytes
  uint64_t tensors = 0, elements = 0;              // that were read
  // Sentences: the hash in a file's metadata (modelspec.hash_sha256) is that of its tensors.
  std::vector<std::string> confirmed = {};
  // Sentences: a hash that differs from a known one, a tensor that is missing or has another shape than the
  // configuration says, tensors with NaN or infinite elements.
  std::vector<std::string> faults = {};

  bool good() const { return faults.empty(); }
};

// Reads the whole model. Throws Error(bad_file) as describe_model does, Error(io), Error(cancelled).
ModelCheck verify_model(const EngineOptions& engine, std::string_view name, const ModelCallbacks& callbacks = {});

}  // namespace tempera
