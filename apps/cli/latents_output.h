// --output NAME.safetensors: the latents of all pictures in one file, instead of pictures.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "tempera/tempera.h"

namespace tempera::cli {

class LatentsOutput {
 public:
  // Nothing if --output is the name of pictures. Sets output_type of the request. Throws Error(invalid_argument) before
  // the work if the file cannot be written, if the name is a pattern, and for output_type latent with another name.
  static std::optional<LatentsOutput> of(const std::string& output, Request& request);

  // Replaces a file of that name. Throws Error(io).
  void save(const Result& result) const { save_latents(path_, result.images); }
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit LatentsOutput(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
};

}  // namespace tempera::cli
