// The choice of weight files of a diffusers component: plain or variant, whole or sharded, in every spelling of
// diffusers and transformers.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weights/checkpoint.h"

namespace tempera {

struct WeightFiles {
  std::filesystem::path path;  // a .safetensors file or the index of several
  bool sharded = false;
  std::string variant;  // "" or the requested one
};

// The files in `folder` of weights called `stem`, nothing when there are none; find_weight_files says why.
std::optional<WeightFiles> look_for_weight_files(const std::filesystem::path& folder, std::string_view stem,
                                                 const std::vector<std::string>& variants);

// The files in `folder` of weights with the name `stem` ("model"), for the variants in order of preference ("" is the
// plain one). Throws Error(bad_file) when there are none, with the expected names, and with a remedy if there is a
// pickle instead.
WeightFiles find_weight_files(const std::filesystem::path& folder, std::string_view stem,
                              const std::vector<std::string>& variants);

// The variants of weight files for a requested one ("" for none), in order of preference.
std::vector<std::string> variants_of(const std::string& requested);

struct OpenedWeights {
  std::shared_ptr<const Checkpoint> checkpoint;
  std::vector<std::filesystem::path> files;
};
OpenedWeights open_weight_files(const WeightFiles& files);

}  // namespace tempera
