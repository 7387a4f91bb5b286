// Conversion of models between single files (safetensors, GGUF) and diffusers folders. Standard library only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tempera/log.h"
#include "tempera/request.h"

namespace tempera {

struct ConvertOptions {
  // The type of the weights:
  //   ""                   every tensor as it is stored
  //   fp32, bf16, fp16     all tensors
  //   fp8                  float8_e4m3fn for the UNet's matrices and convolutions, fp16 for the rest; not in GGUF
  //   q8_0, q6_k, q5_k, q5_1, q5_0, q4_k, q4_1, q4_0
  //                        GGUF only: that type for the UNet's matrices whose rows are whole blocks (32 elements, 256
  //                        for the K types), fp16 for the rest
  std::string dtype = {};
  // Adapters that are added to the weights, as Request::lora. A changed tensor has the type of the stored one, or
  // `dtype`.
  std::vector<std::string> lora = {};
};

// `progress` is called after each piece that is written (in bytes), and `cancelled` is polled there. All may be empty.
struct ConvertCallbacks {
  std::function<void(uint64_t done, uint64_t total)> progress = {};
  std::function<bool()> cancelled = {};  // true stops with Error(cancelled)
  LogSink log = {};  // warnings: the parts of the model that `out` cannot hold, and those of opening the model
};

// Writes the model that `engine` names (model, model_config, tokenizer, variant, unet, unet_config, vae and the model
// folders; other members have no effect) to `out`:
//   NAME.safetensors  a checkpoint under original (SGM) names
//   NAME.gguf         the same names, as stable-diffusion.cpp writes them
//   another name      a diffusers folder
// A model can also be a UNet, an autoencoder or a tiny autoencoder alone. `out` must not exist, or be an empty folder
// if a folder is written. It appears when it is complete: a process that is killed leaves nothing under this name.
// Memory: some MiB, independent of the model. Throws Error: invalid_argument (`out` exists or has the ending of a
// format that is not written; a type that does not exist in the format), bad_file (as opening a model; numbers that the
// type cannot represent), io (disk full).
void convert(const EngineOptions& engine, const ConvertOptions& options, const std::filesystem::path& out,
             const ConvertCallbacks& callbacks = {});

}  // namespace tempera
