#include "models/inventory.h"

#include <algorithm>
#include <initializer_list>
#include <map>

#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"

namespace tempera {
namespace {

std::vector<Parameter> weights_of(std::initializer_list<Graph> graphs) {
  std::map<std::string, Shape> found;
  for (const Graph& graph : graphs)
    for (const Node& node : graph.nodes())
      if (const auto* weight = std::get_if<Weight>(&node.op)) found.emplace(weight->names[0], node.output.shape);
  std::vector<Parameter> list;
  list.reserve(found.size());
  for (const auto& [name, shape] : found) list.push_back({name, shape});
  return list;
}

// Sizes change no parameter; these are small and fit every network.
constexpr int kSide = 8;

}  // namespace

std::vector<Parameter> parameters(const ClipConfig& config) {
  // An encoder without projection has its last layer and final norm in files although no picture needs them.
  ClipConfig whole = config;
  whole.projection_dim = std::max(config.projection_dim, 1);
  std::vector<Parameter> list =
      weights_of({clip_text_graph(whole, {.tokens = config.max_position_embeddings, .pooled = true})});
  if (config.projection_dim == 0)
    std::erase_if(list, [](const Parameter& p) { return p.name == "text_projection.weight"; });
  return list;
}

std::vector<Parameter> parameters(const UnetConfig& config) {
  const int side = kSide << config.down.size();
  return weights_of({unet_graph(config, {.batch = 1, .height = side, .width = side, .micro_conditions = 1})});
}

std::vector<Parameter> parameters(const VaeConfig& config) {
  return weights_of({vae_decoder_graph(config, {.height = kSide, .width = kSide}),
                     vae_encoder_graph(config, {.height = kSide, .width = kSide})});
}

std::vector<Parameter> parameters(const TinyVaeConfig& config) {
  return weights_of({tiny_vae_decoder_graph(config, {.height = kSide, .width = kSide}),
                     tiny_vae_encoder_graph(config, {.height = kSide, .width = kSide})});
}

}  // namespace tempera
