// The graph that ComfyUI's user interface stores ("workflow"), in the form of the server's ("prompt").
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "pipeline/settings_reader.h"

namespace tempera {
using nlohmann::json;

namespace {

std::string text_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_primitive() && !value.is_null() ? value.dump() : "";
}

// The names of the values in "widgets_values" of the user interface, for the nodes that are read. An empty name is a
// value of the interface alone.
struct Widgets {
  std::string_view type;
  std::array<std::string_view, 10> names;
};
constexpr std::array kWidgets = {
    Widgets{"KSampler", {"seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"}},
    Widgets{
        "KSamplerAdvanced",
        {"add_noise", "noise_seed", "", "steps", "cfg", "sampler_name", "scheduler", "start_at_step", "end_at_step"}},
    Widgets{"CLIPTextEncode", {"text"}},
    Widgets{"CLIPTextEncodeSDXL",
            {"width", "height", "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l"}},
    Widgets{"CheckpointLoaderSimple", {"ckpt_name"}},
    Widgets{"UNETLoader", {"unet_name"}},
    Widgets{"LoraLoader", {"lora_name", "strength_model", "strength_clip"}},
    Widgets{"LoraLoaderModelOnly", {"lora_name", "strength_model"}},
    Widgets{"EmptyLatentImage", {"width", "height", "batch_size"}},
    Widgets{"LatentUpscale", {"upscale_method", "width", "height"}},
    Widgets{"LatentUpscaleBy", {"upscale_method", "scale_by"}},
    Widgets{"CLIPSetLastLayer", {"stop_at_clip_layer"}},
    Widgets{"LoadImage", {"image"}},
    Widgets{"PrimitiveNode", {"value"}},
};

const json& member(const json& object, const char* name) {
  static const json nothing;
  if (!object.is_object()) return nothing;
  const auto found = object.find(name);
  return found == object.end() ? nothing : *found;
}

}  // namespace

std::optional<PictureSettings> comfyui_workflow_settings(const json& workflow) {
  if (!member(workflow, "nodes").is_array() || !member(workflow, "links").is_array()) return std::nullopt;
  json sources = json::object();  // by link: the node and its output
  for (const json& link : member(workflow, "links"))
    if (link.is_array() && link.size() >= 3) sources[text_of(link[0])] = {text_of(link[1]), link[2]};
  json graph = json::object();
  for (const json& node : member(workflow, "nodes")) {
    const std::string type = text_of(member(node, "type"));
    json inputs = json::object();
    const auto widgets = std::ranges::find(kWidgets, type, &Widgets::type);
    const json& values = member(node, "widgets_values");
    if (widgets != kWidgets.end() && values.is_array())
      for (size_t i = 0; i < std::min(values.size(), widgets->names.size()); ++i)
        if (!widgets->names[i].empty()) inputs[std::string(widgets->names[i])] = values[i];
    for (const json& input : member(node, "inputs")) {
      const auto source = sources.find(text_of(member(input, "link")));
      if (source != sources.end()) inputs[text_of(member(input, "name"))] = *source;
    }
    graph[text_of(member(node, "id"))] = {{"class_type", type}, {"inputs", std::move(inputs)}};
  }
  return comfyui_settings(graph);
}

}  // namespace tempera
