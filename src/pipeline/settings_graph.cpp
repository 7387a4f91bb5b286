// ComfyUI's graph of nodes: from the sampler to its prompts, models and latents. A node that this file does not know is
// passed through by its input of the same type, and named in a remark.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "pipeline/settings_reader.h"

namespace tempera {
using nlohmann::json;

namespace {

constexpr int kLongestWalk = 256;  // nodes; a graph from outside may have circles

std::string text_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_primitive() && !value.is_null() ? value.dump() : "";
}

// Paths of Windows have backslashes.
std::string file_name(std::string name) {
  std::ranges::replace(name, '\\', '/');
  return name;
}

class Node {
 public:
  Node() = default;
  explicit Node(const json& node) {
    if (!node.is_object()) return;
    if (const auto type = node.find("class_type"); type != node.end() && type->is_string())
      type_ = type->get<std::string>();
    if (const auto inputs = node.find("inputs"); inputs != node.end() && inputs->is_object()) inputs_ = &*inputs;
  }
  const std::string& type() const { return type_; }
  bool is(std::initializer_list<std::string_view> types) const {
    return std::ranges::find(types, type_) != types.end();
  }
  explicit operator bool() const { return inputs_ != nullptr; }
  const json* input(std::string_view name) const {
    if (inputs_ == nullptr) return nullptr;
    const auto found = inputs_->find(std::string(name));
    return found == inputs_->end() ? nullptr : &*found;
  }

 private:
  std::string type_;
  const json* inputs_ = nullptr;
};

class Graph {
 public:
  explicit Graph(const json& graph) : graph_(graph) {}

  // The node at the other end of the input; an empty one if the input is no link.
  Node linked(const Node& node, std::string_view input) const {
    const json* value = node.input(input);
    if (value == nullptr || !value->is_array() || value->size() != 2) return {};
    const auto found = graph_.find(text_of((*value)[0]));
    return found == graph_.end() ? Node() : Node(*found);
  }

  // The input as text. A link is followed to a node that has the value, such as a primitive.
  std::string text(const Node& node, std::string_view input) const {
    Node at = node;
    std::string_view name = input;
    for (int i = 0; i < kLongestWalk; ++i) {
      const json* value = at.input(name);
      if (value == nullptr) return "";
      if (!value->is_array()) return text_of(*value);
      at = linked(at, name);
      for (const std::string_view candidate :
           {"value", "text", "string", "seed", "noise_seed", "int", "float", "Number"})
        if (at.input(candidate) != nullptr) name = candidate;
    }
    return "";
  }

  // The sampler that a picture was saved from, else the last one that no other sampler continues.
  Node last_sampler() const {
    std::vector<Node> samplers;
    for (const json& entry : graph_)
      if (const Node node(entry); is_sampler(node)) samplers.push_back(node);
    for (const json& entry : graph_) {
      const Node output(entry);
      if (!output.is({"SaveImage", "PreviewImage", "SaveImageWebsocket"})) continue;
      if (Node found = sampler_before(output, "images")) return found;
    }
    for (const Node& node : samplers) {
      const auto continues_it = [&](const Node& other) {
        const Node before = sampler_before(other, "latent_image");
        return before && before.input("latent_image") == node.input("latent_image");
      };
      if (std::ranges::none_of(samplers, continues_it)) return node;
    }
    return samplers.empty() ? Node() : samplers.front();
  }

  // The first sampler on the way back through latents and pictures.
  Node sampler_before(Node node, std::string_view input) const {
    node = linked(node, input);
    for (int i = 0; node && i < kLongestWalk; ++i) {
      if (is_sampler(node)) return node;
      Node next;
      for (const std::string_view name : {"samples", "images", "image", "pixels", "latent_image", "latent"})
        if (!next) next = linked(node, name);
      node = next;
    }
    return {};
  }

  static bool is_sampler(const Node& node) { return node.is({"KSampler", "KSamplerAdvanced"}); }

 private:
  const json& graph_;
};

class GraphReader {
 public:
  explicit GraphReader(const json& graph) : graph_(graph) { settings_.program = "ComfyUI"; }

  std::optional<PictureSettings> read() {
    Node sampler = graph_.last_sampler();
    if (!sampler) return std::nullopt;
    std::vector<Node> chain{sampler};  // the last one first
    while (Node before = graph_.sampler_before(chain.back(), "latent_image")) {
      if (chain.size() == kLongestWalk) break;
      chain.push_back(before);
    }
    const Node& first = chain.back();
    read_sampler(first);
    read_prompt(first, "positive", "prompt");
    read_prompt(first, "negative", "negative_prompt");
    read_model(first);
    read_latents(first);
    if (chain.size() == 2) read_second(first, chain.front());
    if (chain.size() > 2)
      remark(fmt::format("the graph has {} samplers in a row, of which the first is read", chain.size()));
    set_field(settings_, "rng", "cpu");  // ComfyUI's noise
    return std::move(settings_);
  }

 private:
  void remark(std::string text) {
    if (std::ranges::find(settings_.remarks, text) == settings_.remarks.end())
      settings_.remarks.push_back(std::move(text));
  }
  void set(std::string_view field, std::string text) {
    if (!text.empty()) set_field(settings_, field, std::move(text));
  }
  void passed(const Node& node) { remark(fmt::format("the node {} has no place here", node.type())); }

  void read_sampler(const Node& sampler) {
    set("num_inference_steps", graph_.text(sampler, "steps"));
    set("guidance_scale", graph_.text(sampler, "cfg"));
    set("seed", graph_.text(sampler, sampler.type() == "KSampler" ? "seed" : "noise_seed"));
    set("scheduler", graph_.text(sampler, "sampler_name"));
    set("schedule", graph_.text(sampler, "scheduler"));
  }

  // The text of the conditioning, for both text encoders.
  void read_prompt(const Node& sampler, std::string_view input, const std::string& field) {
    Node node = graph_.linked(sampler, input);
    for (int i = 0; node && i < kLongestWalk; ++i) {
      if (node.type() == "ConditioningZeroOut") return;  // as an absent negative prompt
      if (node.is({"CLIPTextEncode", "CLIPTextEncodeSDXL", "CLIPTextEncodeSDXLRefiner"})) break;
      passed(node);
      Node next = graph_.linked(node, input);
      for (const std::string_view name : {"conditioning", "conditioning_1", "conditioning_to"})
        if (!next) next = graph_.linked(node, name);
      node = next;
    }
    if (!node) return;
    if (node.type() == "CLIPTextEncodeSDXL") {
      set_field(settings_, field, graph_.text(node, "text_l"));
      set_field(settings_, field + "_2", graph_.text(node, "text_g"));
      if (field == "prompt") read_conditioning_sizes(node);
    } else {
      set_field(settings_, field, graph_.text(node, "text"));
    }
    if (find_field(settings_, field)->find_first_of("([") != std::string::npos)
      remark("the prompts have weights or other syntax, which is read as text here");
    if (field == "prompt") read_skipped_layers(node);
  }

  void read_conditioning_sizes(const Node& node) {
    const auto pair = [&](std::string_view field, const char* a, const char* b, char separator) {
      const std::string first = graph_.text(node, a), second = graph_.text(node, b);
      if (!first.empty() && !second.empty()) set_field(settings_, field, first + separator + second);
    };
    pair("original_size", "width", "height", 'x');
    pair("target_size", "target_width", "target_height", 'x');
    pair("crops_coords_top_left", "crop_w", "crop_h", ',');
  }

  // ComfyUI's SDXL reads the second last layer, which is -2 there.
  void read_skipped_layers(const Node& encoder) {
    Node node = graph_.linked(encoder, "clip");
    for (int i = 0; node && i < kLongestWalk; ++i, node = graph_.linked(node, "clip")) {
      if (node.type() != "CLIPSetLastLayer") continue;
      const std::string layer = graph_.text(node, "stop_at_clip_layer");
      if (layer == "-2") return;
      if (layer.size() == 2 && layer[0] == '-' && layer[1] > '2' && layer[1] <= '9')
        set_field(settings_, "clip_skip", fmt::format("{}", layer[1] - '2'));
      else
        remark(fmt::format("the text encoders stop at layer {}, which has no place here", layer));
      return;
    }
  }

  // From the sampler back to the file of the model, with the adapters on the way.
  void read_model(const Node& sampler) {
    std::vector<std::string> adapters;
    Node node = graph_.linked(sampler, "model");
    for (int i = 0; node && i < kLongestWalk; ++i, node = graph_.linked(node, "model")) {
      if (node.is({"LoraLoader", "LoraLoaderModelOnly"})) {
        const std::string weight = graph_.text(node, "strength_model");
        const std::string text_weight = node.type() == "LoraLoader" ? graph_.text(node, "strength_clip") : "0";
        adapters.push_back(lora_text(file_name(graph_.text(node, "lora_name")), weight, text_weight));
      } else if (node.input("ckpt_name") != nullptr) {
        set("model", file_name(graph_.text(node, "ckpt_name")));
      } else if (node.input("unet_name") != nullptr) {
        set("unet", file_name(graph_.text(node, "unet_name")));
      } else {
        passed(node);
      }
    }
    // The one at the model is applied first.
    for (auto adapter = adapters.rbegin(); adapter != adapters.rend(); ++adapter)
      add_field(settings_, "lora", *adapter);
  }

  // The size, or the picture that it starts from.
  void read_latents(const Node& sampler) {
    Node node = graph_.linked(sampler, "latent_image");
    for (int i = 0; node && i < kLongestWalk; ++i) {
      if (node.input("width") != nullptr && node.input("batch_size") != nullptr) {
        set("width", graph_.text(node, "width"));
        set("height", graph_.text(node, "height"));
        break;
      }
      if (node.is({"LoadImage", "LoadImageMask"})) {
        set("init_image", file_name(graph_.text(node, "image")));
        break;
      }
      if (!node.is({"VAEEncode", "VAEEncodeTiled", "LatentFromBatch"})) passed(node);
      Node next;
      for (const std::string_view name : {"samples", "pixels", "image", "latent"})
        if (!next) next = graph_.linked(node, name);
      node = next;
    }
    const std::string strength = graph_.text(sampler, "denoise");
    if (find_field(settings_, "init_image") && !strength.empty()) set_field(settings_, "strength", strength);
  }

  // A second sampler is a second pass at a larger size, or a refiner.
  void read_second(const Node& first, const Node& second) {
    const Node between = graph_.linked(second, "latent_image");
    if (between.is({"LatentUpscale", "LatentUpscaleBy"})) {
      const std::string method = graph_.text(between, "upscale_method");
      set("hires_upscaler", "latent-" + (method == "nearest-exact" ? "nearest" : method));
      if (between.type() == "LatentUpscaleBy")
        set("hires_scale", graph_.text(between, "scale_by"));
      else
        set("hires_size", graph_.text(between, "width") + "x" + graph_.text(between, "height"));
      set("hires_steps", graph_.text(second, "steps"));
      set("hires_strength", graph_.text(second, "denoise"));
      return;
    }
    Node model = graph_.linked(second, "model");
    for (int i = 0; model && model.input("ckpt_name") == nullptr && i < kLongestWalk; ++i)
      model = graph_.linked(model, "model");
    const std::string start = graph_.text(second, "start_at_step"), steps = graph_.text(first, "steps");
    const json start_number = json::parse(start, nullptr, false), steps_number = json::parse(steps, nullptr, false);
    const bool continues = start_number.is_number() && steps_number.is_number() && steps_number.get<double>() > 0;
    if (!model || !continues) return remark("the graph has a second sampler, which is not read");
    set("refiner", file_name(graph_.text(model, "ckpt_name")));
    set("refiner_start", fmt::format("{}", start_number.get<double>() / steps_number.get<double>()));
  }

  const Graph graph_;
  PictureSettings settings_;
};

}  // namespace

std::optional<PictureSettings> comfyui_settings(const json& graph) {
  if (!graph.is_object()) return std::nullopt;
  return GraphReader(graph).read();
}

}  // namespace tempera
