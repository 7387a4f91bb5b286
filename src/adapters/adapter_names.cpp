#include "adapters/adapter_names.h"

#include <algorithm>
#include <array>

namespace tempera {
namespace {

struct Pair {
  std::string_view in_file, here;
};

// The last piece of a name, without ".weight".
constexpr std::array kParts = {
    Pair{"lora_down", "lora_down"},
    Pair{"lora_up", "lora_up"},
    Pair{"lora_mid", "lora_mid"},
    Pair{"lora_A", "lora_down"},
    Pair{"lora_B", "lora_up"},
    Pair{"alpha", "alpha"},
    Pair{"scale", "scale"},
    Pair{"dora_scale", "dora_scale"},
    Pair{"lora_magnitude_vector", "dora_scale"},
    Pair{"hada_w1_a", "hada_w1_a"},
    Pair{"hada_w1_b", "hada_w1_b"},
    Pair{"hada_w2_a", "hada_w2_a"},
    Pair{"hada_w2_b", "hada_w2_b"},
    Pair{"hada_t1", "hada_t1"},
    Pair{"hada_t2", "hada_t2"},
    Pair{"lokr_w1", "lokr_w1"},
    Pair{"lokr_w1_a", "lokr_w1_a"},
    Pair{"lokr_w1_b", "lokr_w1_b"},
    Pair{"lokr_w2", "lokr_w2"},
    Pair{"lokr_w2_a", "lokr_w2_a"},
    Pair{"lokr_w2_b", "lokr_w2_b"},
    Pair{"lokr_t2", "lokr_t2"},
    Pair{"a1", "a1"},
    Pair{"a2", "a2"},
    Pair{"b1", "b1"},
    Pair{"b2", "b2"},
    Pair{"on_input", "on_input"},
    Pair{"oft_blocks", "oft_blocks"},
    Pair{"oft_diag", "oft_diag"},
    Pair{"rescale", "rescale"},
    Pair{"diff", "diff"},
    Pair{"diff_b", "diff_b"},
    Pair{"w_norm", "w_norm"},
    Pair{"b_norm", "b_norm"},
};

// The parts of PEFT that the name of an adapter can follow: "lora_A.default.weight".
constexpr std::array kNamedParts = {Pair{"lora_A", "lora_down"}, Pair{"lora_B", "lora_up"},
                                    Pair{"lora_magnitude_vector", "dora_scale"}};

// The beginnings of names, with '_' in the place of '.'. A beginning of another row is after it.
constexpr std::array kComponents = {
    Pair{"lora_unet_", "unet"},
    Pair{"lora_te1_", "text_encoder"},
    Pair{"lora_te2_", "text_encoder_2"},
    Pair{"lora_te_", "text_encoder"},
    Pair{"unet_", "unet"},
    Pair{"text_encoder_2_", "text_encoder_2"},
    Pair{"text_encoder_", "text_encoder"},
    Pair{"text_encoders_clip_l_transformer_", "text_encoder"},
    Pair{"text_encoders_clip_g_transformer_", "text_encoder_2"},
    Pair{"clip_l_", "text_encoder"},
    Pair{"clip_g_", "text_encoder_2"},
    Pair{"model_diffusion_model_", "unet"},
    Pair{"diffusion_model_", "unet"},
    Pair{"", "unet"},
};
constexpr std::array<std::string_view, 2> kWrappers = {"base_model_model_", "lycoris_"};

constexpr std::array<std::string_view, 6> kBlocks = {"down_blocks_",  "mid_block_",    "up_blocks_",
                                                     "input_blocks_", "middle_block_", "output_blocks_"};
constexpr std::string_view kTextModel = "text_model_", kWeight = ".weight", kBias = ".bias";

template <size_t N>
std::string_view part_of(const std::array<Pair, N>& table, std::string_view piece) {
  const auto at = std::ranges::find(table, piece, &Pair::in_file);
  return at == table.end() ? std::string_view() : at->here;
}

bool cut_front(std::string_view& text, std::string_view beginning) {
  if (!text.starts_with(beginning)) return false;
  text.remove_prefix(beginning.size());
  return true;
}

bool cut_back(std::string_view& text, std::string_view ending) {
  if (!text.ends_with(ending)) return false;
  text.remove_suffix(ending.size());
  return true;
}

// Cuts the last piece, and the point before it. Empty if there is no point.
std::string_view cut_piece(std::string_view& text) {
  const size_t point = text.rfind('.');
  if (point == text.npos) return {};
  const std::string_view piece = text.substr(point + 1);
  text = text.substr(0, point);
  return piece;
}

std::string underscored(std::string_view path) {
  std::string text(path);
  std::ranges::replace(text, '.', '_');
  return text;
}

// A module that an attention processor changed, with the old name of the projection: "to_q", "to_out".
std::string projection_module(std::string_view attention, std::string_view projection) {
  cut_back(attention, ".processor");
  std::string module = underscored(attention) + "_";
  if (!attention.ends_with("self_attn")) return module.append(projection).append(projection == "to_out" ? "_0" : "");
  cut_front(projection, "to_");  // transformers' names of the text encoders
  return module.append(projection).append("_proj");
}

// "down" and "up": "X.lora.down", "X.lora_linear_layer.down", "X.processor.to_q_lora.down".
std::optional<AdapterKey> split_old_diffusers(std::string_view path, std::string_view side) {
  const std::string_view part = side == "down" ? "lora_down" : "lora_up";
  std::string_view layer = cut_piece(path);
  if (layer == "lora" || layer == "lora_linear_layer") return AdapterKey{underscored(path), part};
  if (!cut_back(layer, "_lora") || layer.empty()) return std::nullopt;
  return AdapterKey{projection_module(path, layer), part};
}

}  // namespace

std::optional<AdapterKey> split_adapter_key(std::string_view key) {
  std::string_view path = key;
  const bool has_weight = cut_back(path, kWeight);
  const std::string_view whole = path, last = cut_piece(path);
  if (const std::string_view part = part_of(kParts, last); !part.empty()) return AdapterKey{underscored(path), part};
  if (last == "down" || last == "up") return split_old_diffusers(path, last);
  std::string_view above = path;
  const std::string_view part = part_of(kNamedParts, cut_piece(above));
  // A matrix ends in ".weight". "lora_B.bias" is another part, which is not supported.
  if (!part.empty() && (has_weight || part == "dora_scale")) return AdapterKey{underscored(above), part};
  if (has_weight) return AdapterKey{underscored(whole), "weight"};
  return std::nullopt;
}

AdapterNames::AdapterNames(std::span<const ModelParameter> parameters)
    : parameters_(parameters.begin(), parameters.end()) {
  modules_.reserve(2 * parameters_.size());
  for (uint32_t i = 0; i < parameters_.size(); ++i) {
    const ModelParameter& parameter = parameters_[i];
    add(parameter.component, parameter.name, Spelling::canonical, i);
    if (parameter.ldm_name != parameter.name) add(parameter.component, parameter.ldm_name, Spelling::ldm, i);
  }
}

void AdapterNames::add(std::string_view component, std::string_view name, Spelling spelling, uint32_t parameter) {
  std::string_view path = name;
  const bool is_weight = cut_back(path, kWeight);
  if (!is_weight && !cut_back(path, kBias)) return;
  const auto put = [&](std::string_view module) {
    std::string place(component);
    const auto [at, is_new] = modules_.try_emplace(place.append(":").append(module));
    Module& entry = at->second;
    if (is_new) {
      entry.spelling = spelling;
      entry.in_block = std::ranges::any_of(kBlocks, [&](std::string_view block) { return module.starts_with(block); });
    }
    uint32_t& index = is_weight ? entry.weight : entry.bias;
    if (index == kNone) index = parameter;
  };
  const std::string module = underscored(path);
  put(module);
  if (std::string_view rest = module; cut_front(rest, kTextModel)) put(rest);
}

std::optional<AdapterNames::Place> AdapterNames::find(std::string_view key) const {
  const std::optional<AdapterKey> split = split_adapter_key(key);
  if (!split) return std::nullopt;
  std::string_view module = split->module;
  for (const std::string_view wrapper : kWrappers) cut_front(module, wrapper);
  const auto component =
      std::ranges::find_if(kComponents, [&](const Pair& row) { return cut_front(module, row.in_file); });
  std::string place(component->here);
  const auto found = modules_.find(place.append(":").append(module));
  if (found == modules_.end()) return std::nullopt;
  const bool of_bias = split->part == "diff_b" || split->part == "b_norm";
  const uint32_t parameter = of_bias ? found->second.bias : found->second.weight;
  if (parameter == kNone) return std::nullopt;
  const std::string_view part = of_bias || split->part == "w_norm" ? "diff" : split->part;
  return Place{parameter, part, found->second.spelling, found->second.in_block};
}

}  // namespace tempera
