#include "latents_output.h"

#include <fmt/format.h>

#include "output_pattern.h"
#include "tempera/error.h"

namespace tempera::cli {

std::optional<LatentsOutput> LatentsOutput::of(const std::string& output, Request& request) {
  const std::filesystem::path path(output);
  if (path.extension() != ".safetensors") {
    if (request.output_type != "latent") return std::nullopt;
    throw Error(ErrorCode::invalid_argument,
                "--output-type latent needs the name of a file for latents: give --output NAME.safetensors");
  }
  if (output.find('{') != std::string::npos)
    throw Error(ErrorCode::invalid_argument,
                fmt::format("--output '{}' is a pattern, but the latents of all pictures are in one file: give a name "
                            "without {{}}",
                            output));
  request.output_type = "latent";
  check_output(path);
  return LatentsOutput(path);
}

}  // namespace tempera::cli
