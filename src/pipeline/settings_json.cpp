// The settings of InvokeAI and Fooocus: JSON objects with a member for each setting.
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "pipeline/settings_reader.h"

namespace tempera {
using nlohmann::json;

namespace {

struct Member {
  std::string_view name, field;
};

std::string text_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_number() ? value.dump() : "";
}

// The member `name` of an object as text; empty if there is none.
std::string member(const json& object, std::string_view name) {
  if (!object.is_object()) return "";
  const auto found = object.find(std::string(name));
  return found == object.end() ? "" : text_of(*found);
}

// The reader of one object: members that were read, and later the others.
class ObjectReader {
 public:
  ObjectReader(const json& object, std::string_view program) : object_(object) { settings.program = program; }

  const json* find(std::string_view name) {
    read_.emplace_back(name);
    const auto found = object_.find(std::string(name));
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  std::string text(std::string_view name) {
    const json* value = find(name);
    return value == nullptr ? "" : text_of(*value);
  }
  void set(std::string_view field, std::string value) {
    if (!value.empty()) set_field(settings, field, std::move(value));
  }
  void set_members(std::span<const Member> members) {
    for (const Member& entry : members) set(entry.field, text(entry.name));
  }
  void finish() {
    for (const auto& [name, value] : object_.items()) {
      const bool is_empty = value.is_string() ? value.get_ref<const std::string&>().empty() : value.empty();
      const bool is_default = is_empty || value == false;
      if (is_default || std::ranges::find(read_, name) != read_.end()) continue;
      settings.unused.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
    }
  }

  PictureSettings settings;

 private:
  const json& object_;
  std::vector<std::string> read_;
};

// InvokeAI's models: {"name": ...}, before version 4 {"model_name": ...}.
std::string model_name(const json* model) {
  if (model == nullptr) return "";
  const std::string name = member(*model, "name");
  return name.empty() ? member(*model, "model_name") : name;
}

void read_invokeai_sampler(ObjectReader& reader) {
  std::string sampler = reader.text("scheduler");
  const bool karras = sampler.ends_with("_k");
  if (karras) sampler.resize(sampler.size() - 2);
  reader.set("scheduler", std::move(sampler));
  if (karras) reader.set("schedule", "karras");
}

void read_invokeai_prompts(ObjectReader& reader) {
  set_field(reader.settings, "prompt", reader.text("positive_prompt"));
  // Empty texts are zeros in InvokeAI, as an absent negative prompt here.
  reader.set("negative_prompt", reader.text("negative_prompt"));
  for (const auto& [name, field] :
       {Member{"positive_style_prompt", "prompt_2"}, Member{"negative_style_prompt", "negative_prompt_2"}}) {
    std::string style = reader.text(name);
    const std::string* prompt = find_field(reader.settings, field.substr(0, field.size() - 2));
    if (prompt == nullptr || style != *prompt) reader.set(field, std::move(style));
  }
}

void read_invokeai_loras(ObjectReader& reader) {
  const json* loras = reader.find("loras");
  if (loras == nullptr || !loras->is_array()) return;
  for (const json& lora : *loras) {
    if (!lora.is_object()) continue;
    const auto model = lora.find(lora.contains("model") ? "model" : "lora");
    const std::string weight = member(lora, "weight");
    if (model != lora.end())
      add_field(reader.settings, "lora",
                lora_text(model_name(&*model), weight.empty() ? "1" : weight, weight.empty() ? "1" : weight));
  }
}

}  // namespace

std::optional<PictureSettings> invokeai_settings(const json& metadata) {
  constexpr std::array kMembers = {
      Member{"width", "width"},
      Member{"height", "height"},
      Member{"seed", "seed"},
      Member{"steps", "num_inference_steps"},
      Member{"cfg_scale", "guidance_scale"},
      Member{"cfg_rescale_multiplier", "guidance_rescale"},
      Member{"strength", "strength"},
      Member{"init_image", "init_image"},
      Member{"refiner_start", "refiner_start"},
      Member{"refiner_positive_aesthetic_score", "aesthetic_score"},
      Member{"refiner_negative_aesthetic_score", "negative_aesthetic_score"},
  };
  if (!metadata.is_object()) return std::nullopt;
  ObjectReader reader(metadata, "InvokeAI");
  read_invokeai_prompts(reader);
  reader.set_members(kMembers);
  read_invokeai_sampler(reader);
  const std::string device = reader.text("rand_device");
  reader.set("rng", device.empty() ? "cpu" : device);
  reader.set("model", model_name(reader.find("model")));
  reader.set("vae", model_name(reader.find("vae")));
  reader.set("refiner", model_name(reader.find("refiner_model")));
  read_invokeai_loras(reader);
  for (const std::string_view silent : {"app_version", "generation_mode"}) reader.find(silent);
  reader.finish();
  return std::move(reader.settings);
}

std::optional<PictureSettings> fooocus_settings(const json& parameters) {
  constexpr std::array kMembers = {Member{"prompt", "prompt"},
                                   Member{"negative_prompt", "negative_prompt"},
                                   Member{"seed", "seed"},
                                   Member{"steps", "num_inference_steps"},
                                   Member{"sampler", "scheduler"},
                                   Member{"guidance_scale", "guidance_scale"},
                                   Member{"scheduler", "schedule"},
                                   Member{"base_model", "model"},
                                   Member{"refiner_switch", "refiner_start"}};
  if (!parameters.is_object() || !parameters.contains("base_model")) return std::nullopt;
  ObjectReader reader(parameters, "Fooocus");
  reader.set_members(kMembers);
  if (find_field(reader.settings, "negative_prompt") == nullptr)
    set_field(reader.settings, "negative_prompt", "");  // Fooocus encodes an empty text
  if (const std::string refiner = reader.text("refiner_model"); !refiner.empty() && refiner != "None") {
    reader.set("refiner", refiner);
  } else {
    std::erase_if(reader.settings.fields, [](const FieldText& entry) { return entry.field == "refiner_start"; });
  }
  // "(1152, 896)"
  std::string size = reader.text("resolution");
  std::erase_if(size, [](char c) { return c == '(' || c == ')' || c == ' '; });
  if (const size_t comma = size.find(','); comma != std::string::npos) {
    reader.set("width", size.substr(0, comma));
    reader.set("height", size.substr(comma + 1));
  }
  if (const std::string hash = reader.text("base_model_hash"); !hash.empty())
    reader.settings.hashes.push_back({"model", member(parameters, "base_model"), hash});
  if (const std::string vae = reader.text("vae"); vae.find("Default") == std::string::npos) reader.set("vae", vae);
  if (const json* loras = reader.find("loras"); loras != nullptr && loras->is_array()) {
    for (const json& lora : *loras) {
      if (!lora.is_array() || lora.size() < 2) continue;
      const std::string name = text_of(lora[0]), weight = text_of(lora[1]);
      add_field(reader.settings, "lora", lora_text(name, weight, weight));
      if (lora.size() > 2) reader.settings.hashes.push_back({"lora", name, text_of(lora[2])});
    }
  }
  reader.set("rng", "cpu");
  for (const std::string_view silent :
       {"metadata_scheme", "version", "created_by", "full_prompt", "full_negative_prompt"})
    reader.find(silent);
  reader.finish();
  return std::move(reader.settings);
}

}  // namespace tempera
