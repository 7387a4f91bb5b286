// The settings in picture files: of tempera, A1111's web UI and Forge, stable-diffusion.cpp, ComfyUI, InvokeAI and
// Fooocus. All are read as one structure: fields of Request and EngineOptions by name (docs/PICTURES.md).
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tempera/log.h"
#include "tempera/request.h"

namespace tempera {

// A value for Field::set. A field that repeats has one entry for each value.
struct FieldText {
  std::string field;  // Field::name
  std::string text;
  bool operator==(const FieldText&) const = default;
};

// The hash of a file that a field names.
struct RecordedHash {
  std::string field;  // "model", "vae", "lora", "textual_inversion", "init_image", "mask_image", "latents"
  std::string name;   // as in the text of the field, without weights or words
  std::string hash;   // hexadecimal, small letters; 64 digits, or the first ones
  bool operator==(const RecordedHash&) const = default;
};

struct PictureSettings {
  std::string program = {};  // "tempera", "A1111", "stable-diffusion.cpp", "ComfyUI", "InvokeAI", "Fooocus"
  // In the order of the picture. The values are not checked: Field::set refuses values that tempera does not have.
  std::vector<FieldText> fields = {};
  std::vector<RecordedHash> hashes = {};
  std::vector<std::string> remarks = {};                         // sentences: differences that no field can express
  std::vector<std::pair<std::string, std::string>> unused = {};  // names and values that have no field
};

// Whether the file begins as PNG, JPEG or WebP. False for a file that cannot be read.
bool is_picture_file(const std::filesystem::path& path);

// The settings of a picture. Reads no pixels. Throws Error(bad_file) for a file that is not a readable picture, and for
// one without settings; Error(io).
PictureSettings read_settings(const std::filesystem::path& picture);

// Sets the fields of `request` and `engine` from the settings of `picture`, and then from `overrides`. Other fields are
// not changed. A field in
// `overrides` replaces all values of that field, and the fields that contradict it: a number of steps replaces
// timesteps, a sampler replaces a schedule, and so on (docs/PICTURES.md has the table).
//
// Then it finds the files that the settings name. Models and adapters are names in the model folders; if there is no
// such name, the hash decides. Pictures, latents and embeddings are in the folder of `picture` or in the current one.
// Remarks and unused settings are warnings of `log`. Throws Error(invalid_argument) for a value that a field does not
// have, Error(bad_file) for a file that is missing, and for one whose known hash differs from that of the settings.
void use_settings(const PictureSettings& settings, const std::filesystem::path& picture,
                  std::span<const FieldText> overrides, Request& request, EngineOptions& engine,
                  const LogSink& log = {});

}  // namespace tempera
