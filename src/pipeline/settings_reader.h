// The settings in the texts of a picture, by program. One file for each form: settings_infotext.cpp,
// settings_graph.cpp, settings_json.cpp.
#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/picture_file.h"
#include "tempera/settings.h"

namespace tempera {

// Nothing if no text has settings. JSON that is malformed, or nested more than 64 levels deep, has none.
std::optional<PictureSettings> settings_of(const PictureText& text);

// "prompt, Negative prompt: ..., Steps: ...": A1111's form, which tempera and stable-diffusion.cpp write too. Nothing
// without a line of values.
std::optional<PictureSettings> infotext_settings(std::string_view text);

// `graph`: ComfyUI's chunk "prompt". Nothing without a KSampler or KSamplerAdvanced.
std::optional<PictureSettings> comfyui_settings(const nlohmann::json& graph);
// `workflow`: ComfyUI's chunk "workflow", as the user interface stores it.
std::optional<PictureSettings> comfyui_workflow_settings(const nlohmann::json& workflow);

std::optional<PictureSettings> invokeai_settings(const nlohmann::json& metadata);
std::optional<PictureSettings> fooocus_settings(const nlohmann::json& parameters);

// Writing a PictureSettings. set_field replaces the field's value; add_field adds one, for fields that repeat.
void set_field(PictureSettings& settings, std::string_view field, std::string text);
void add_field(PictureSettings& settings, std::string_view field, std::string text);
const std::string* find_field(const PictureSettings& settings, std::string_view field);

// "NAME:WEIGHT" or "NAME:WEIGHT:TEXT_WEIGHT", for the field lora.
std::string lora_text(std::string_view name, std::string_view weight, std::string_view text_weight);

// The values of hires_upscaler and A1111's names for them.
struct UpscalerName {
  std::string_view label, value;
};
inline constexpr std::array kUpscalerNames = {
    UpscalerName{"Latent", "latent-bilinear"}, UpscalerName{"Latent (nearest)", "latent-nearest"},
    UpscalerName{"Latent (bicubic)", "latent-bicubic"}, UpscalerName{"Lanczos", "lanczos"}};

// A list in one text: "a, b", or a JSON array if an entry contains ", " or the text would be ambiguous.
std::string joined_list(const std::vector<std::string>& entries);
std::vector<std::string> split_list(std::string_view text);

// "NAME: hash, NAME: hash" as recorded hashes of `field`.
void add_hashes(PictureSettings& settings, std::string_view field, std::string_view text);

}  // namespace tempera
