// The settings text of A1111's web UI. tempera and stable-diffusion.cpp write it too, with keys of their own.
#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "image/infotext.h"
#include "pipeline/settings_reader.h"
#include "tempera/request.h"

namespace tempera {
namespace {

using Value = const std::string&;

struct Key {
  std::string_view key, field;
};
// Keys with the meaning of a field, in the text of every program.
constexpr std::array kKeys = {
    Key{"Steps", "num_inference_steps"},
    Key{"CFG scale", "guidance_scale"},
    Key{"Seed", "seed"},
    Key{"Model", "model"},
    Key{"Mask blur", "mask_blur"},
    Key{"Hires upscale", "hires_scale"},
    Key{"Hires resize", "hires_size"},
    Key{"Refiner", "refiner"},
    Key{"Refiner switch at", "refiner_start"},
    Key{"Unet", "unet"},
    Key{"UNet config", "unet_config"},
    Key{"UNet", "unet"},
};
// Keys without a meaning for the picture, or that were read together with others.
constexpr std::array kSilent = {
    std::string_view("Version"), std::string_view("Hires upscaler"), std::string_view("Denoising strength"),
    std::string_view("VAE"),     std::string_view("Schedule type"),  std::string_view("Hashes")};

std::string_view strip(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// The weights of a tag of A1111's prompts: name:te[:unet[:dyn]], each also as "te=0.5". te is 1 if absent, unet as te.
std::string lora_of_tag(std::string_view tag, PictureSettings& settings) {
  std::array<std::string, 3> parts;  // name, weight of the text encoders, weight of the UNet
  size_t place = 0;
  for (size_t begin = 0; begin <= tag.size();) {
    const size_t end = std::min(tag.find(':', begin), tag.size());
    const std::string_view part = strip(tag.substr(begin, end - begin));
    begin = end + 1;
    if (place > 0 && part.starts_with("te=")) {
      parts[1] = part.substr(3);
    } else if (place > 0 && part.starts_with("unet=")) {
      parts[2] = part.substr(5);
    } else if (place < parts.size() && part.find('=') == std::string_view::npos) {
      parts[place++] = part;
    } else {
      settings.remarks.push_back(fmt::format("'{}' of the LoRA '{}' has no place here", part, parts[0]));
    }
  }
  if (parts[1].empty()) parts[1] = "1";
  if (parts[2].empty()) parts[2] = parts[1];
  return lora_text(parts[0], parts[2], parts[1]);
}

// Takes "<lora:name:0.8>" out of the prompt, as the web UI does before it encodes the prompt.
std::string without_tags(std::string_view prompt, PictureSettings& settings) {
  std::string rest;
  while (!prompt.empty()) {
    const size_t begin = std::min(prompt.find('<'), prompt.size());
    rest.append(prompt.substr(0, begin));
    prompt.remove_prefix(begin);
    if (prompt.empty()) break;
    const size_t end = prompt.find('>'), colon = prompt.find(':');
    const auto is_word = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
    const bool is_tag = end != std::string_view::npos && colon < end && colon > 1 && colon + 1 < end &&
                        std::ranges::all_of(prompt.substr(1, colon - 1), is_word);
    if (!is_tag) {
      rest += prompt.front();
      prompt.remove_prefix(1);
      continue;
    }
    const std::string_view kind = prompt.substr(1, colon - 1), tag = prompt.substr(colon + 1, end - colon - 1);
    if (kind == "lora" || kind == "lyco")
      add_field(settings, "lora", lora_of_tag(tag, settings));
    else
      settings.remarks.push_back(fmt::format("'{}' in the prompt has no place here", prompt.substr(0, end + 1)));
    prompt.remove_prefix(end + 1);
  }
  return rest;
}

// Whether brackets or keywords of the text have a meaning in the web UI. tempera reads them as text.
bool has_syntax(std::string_view prompt) {
  for (size_t at = 0; at < prompt.size(); ++at) {
    if (prompt[at] == '\\')
      ++at;
    else if (prompt[at] == '(' || prompt[at] == '[')
      return true;
  }
  return prompt.find("BREAK") != std::string_view::npos || prompt.find(" AND ") != std::string_view::npos;
}

// Keys of tempera that are names of fields, in addition to those with FieldTrait::in_metadata (parameters_text writes
// them). A picture sets no others, because it may be from anywhere: it adds no folders and chooses no device.
constexpr std::array kOwnKeys = {std::string_view("prompt"),
                                 std::string_view("negative_prompt"),
                                 std::string_view("prompt_embeds"),
                                 std::string_view("clip_skip"),
                                 std::string_view("scheduler_config"),
                                 std::string_view("model_config"),
                                 std::string_view("tokenizer"),
                                 std::string_view("variant"),
                                 std::string_view("dtype"),
                                 std::string_view("attention"),
                                 std::string_view("eager"),
                                 std::string_view("vae_dtype"),
                                 std::string_view("tiny_vae"),
                                 std::string_view("vae_tile_size"),
                                 std::string_view("hires_strength"),
                                 std::string_view("init_image"),
                                 std::string_view("mask_image"),
                                 std::string_view("latents"),
                                 std::string_view("lora"),
                                 std::string_view("textual_inversion")};

bool is_own_key(std::string_view name) {
  if (std::ranges::find(kOwnKeys, name) != kOwnKeys.end()) return true;
  return std::ranges::any_of(request_fields(), [name](const Field& field) {
    return field.name == name && field.has(FieldTrait::in_metadata);
  });
}

class InfotextReader {
 public:
  explicit InfotextReader(const Infotext& info) : info_(info) {
    const std::string version = info.find("Version").value_or("");
    own_ = version.starts_with("tempera ");
    sdcpp_ = version.starts_with("stable-diffusion.cpp");
    settings_.program = own_ ? "tempera" : sdcpp_ ? "stable-diffusion.cpp" : "A1111";
  }

  PictureSettings read() {
    read_prompts();
    for (const auto& [key, value] : info_.values) read_value(key, value);
    read_strength();
    read_vae();
    if (!own_) read_sampler();
    if (!own_ && !find_field(settings_, "rng")) set_field(settings_, "rng", "cuda");  // of both programs
    return std::move(settings_);
  }

 private:
  void read_prompts() {
    std::string prompt = info_.prompt;
    if (!own_) {
      prompt = without_tags(prompt, settings_);
      if (has_syntax(prompt) || has_syntax(info_.negative_prompt))
        settings_.remarks.emplace_back("the prompts have weights or other syntax, which is read as text here");
    }
    settings_.fields.insert(settings_.fields.begin(), {"prompt", std::move(prompt)});
    // Without a line, an empty negative prompt was zeros in the web UI, as an absent one here. tempera writes prompts
    // that the free text cannot hold as values (parameters_text).
    const bool in_values = own_ && info_.find("prompt");
    if (!in_values && !info_.negative_prompt.empty()) set_field(settings_, "negative_prompt", info_.negative_prompt);
  }

  void read_value(Value key, Value value) {
    if (std::ranges::find(kSilent, key) != kSilent.end()) return;
    if (const auto known = std::ranges::find(kKeys, key, &Key::key); known != kKeys.end())
      return set_field(settings_, known->field, value);
    if (key == "Size") return read_size();
    if (key == "RNG") return read_rng(value);
    if (key == "Hires steps") {
      if (value != "0") set_field(settings_, "hires_steps", value);  // 0: as the first pass
      return;
    }
    if (read_hash(key, value)) return;
    if (own_ ? read_own(key, value) : read_other(key, value)) return;
    settings_.unused.emplace_back(key, value);
  }

  void read_size() {
    const auto width = info_.find("Size-1"), height = info_.find("Size-2");
    if (!width || !height) return settings_.unused.emplace_back("Size", info_.find("Size").value_or("")), void();
    set_field(settings_, "width", *width);
    set_field(settings_, "height", *height);
  }

  // A1111: GPU (PyTorch's on a card), NV (the same, computed on the CPU), CPU. stable-diffusion.cpp: cuda, cpu.
  void read_rng(std::string value) {
    std::ranges::transform(value, value.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    set_field(settings_, "rng", value == "gpu" || value == "nv" ? "cuda" : value);
  }

  bool read_hash(Value key, Value value) {
    if (key == "Model hash") return add_hash("model", info_.find("Model").value_or(""), value);
    if (key == "VAE hash") return add_hash("vae", info_.find("VAE").value_or(""), value);
    if (key == "Lora hashes") return add_hashes(settings_, "lora", value), true;
    if (key == "TI hashes") {
      add_hashes(settings_, "textual_inversion", value);
      if (!own_)
        for (const RecordedHash& hash : settings_.hashes)
          if (hash.field == "textual_inversion") add_field(settings_, hash.field, hash.name);
      return true;
    }
    for (const std::string_view field : {"init_image", "mask_image", "latents"})
      if (own_ && key == fmt::format("{} hash", field)) return add_hash(field, info_.find(field).value_or(""), value);
    return false;
  }
  bool add_hash(std::string_view field, std::string name, std::string hash) {
    std::ranges::transform(hash, hash.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    settings_.hashes.push_back({std::string(field), std::move(name), std::move(hash)});
    return true;
  }

  bool read_own(Value key, Value value) {
    if (key == "Sampler") return true;  // "scheduler" and "scheduler_config" have the request's
    if (!is_own_key(key)) return false;
    if (key == "lora" || key == "textual_inversion") {
      for (std::string& entry : split_list(value)) add_field(settings_, key, std::move(entry));
    } else {
      set_field(settings_, key, value);
    }
    return true;
  }

  bool read_other(Value key, Value value) {
    if (key == "Sampler") return true;  // read_sampler
    if (key == "Eta DDIM") return set_field(settings_, "eta", value), true;
    if (key == "Emphasis" || (key == "ENSD" && value == "0")) return true;
    if (key == "ENSD") {
      settings_.remarks.push_back(
          fmt::format("ENSD is {}: samplers that draw new noise in every step draw another one here", value));
      return true;
    }
    if (key == "Clip skip") {
      // SDXL skips one layer in the web UI too: 1 and 2 are the same there.
      int layers = 0;
      for (const char c : value) layers = c >= '0' && c <= '9' && layers < 1000 ? layers * 10 + (c - '0') : 1001;
      if (layers > 1000) return false;
      if (layers > 2) set_field(settings_, "clip_skip", fmt::format("{}", layers - 2));
      return true;
    }
    return false;
  }

  // One key has the strength of picture to picture, or that of the second pass.
  void read_strength() {
    if (const auto name = info_.find("Hires upscaler")) {
      const auto known = std::ranges::find(kUpscalerNames, *name, &UpscalerName::label);
      set_field(settings_, "hires_upscaler", known == kUpscalerNames.end() ? *name : std::string(known->value));
    }
    const auto value = info_.find("Denoising strength");
    if (!value) return;
    const bool second_pass = info_.find("Hires upscale") || info_.find("Hires resize") || info_.find("Hires upscaler");
    const bool from_picture = find_field(settings_, "init_image") || find_field(settings_, "latents");
    set_field(settings_, second_pass && !from_picture ? "hires_strength" : "strength", *value);
    if (!own_ && !second_pass)
      settings_.remarks.emplace_back("the picture was drawn from another one, which is not in the settings");
  }

  void read_vae() {
    const auto name = info_.find("VAE");
    const bool is_model = !name || *name == "Automatic" || *name == "None";
    if (!is_model && !find_field(settings_, "tiny_vae")) set_field(settings_, "vae", *name);
  }

  void read_sampler() {
    std::string name = info_.find("Sampler").value_or("");
    if (sdcpp_ && name.ends_with(" discrete")) name.resize(name.size() - std::string_view(" discrete").size());
    if (name.empty()) return;
    set_field(settings_, "scheduler", std::move(name));
    if (!sdcpp_) set_field(settings_, "schedule", info_.find("Schedule type").value());
  }

  const Infotext& info_;
  bool own_ = false, sdcpp_ = false;
  PictureSettings settings_;
};

}  // namespace

std::optional<PictureSettings> infotext_settings(std::string_view text) {
  const Infotext info = parse_infotext(text);
  if (info.values.empty()) return std::nullopt;
  return InfotextReader(info).read();
}

}  // namespace tempera
