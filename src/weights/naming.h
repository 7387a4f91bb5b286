// The names of the tensors of each component: diffusers' names, which this program uses, and those of single-file (LDM,
// SGM) checkpoints. The name of a component is that of its folder in a diffusers model ("text_encoder"). Its naming is
// a row in naming.cpp.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weights/adapt.h"
#include "weights/checkpoint.h"

namespace tempera {

// A component from a diffusers folder under the names of this program, for all versions of diffusers and transformers:
// text encoders with the "text_model." prefix, the VAE's attention as to_q, to_k, to_v, to_out.0, and as matrices those
// 1x1 convolutions that are used as matrices. Tensors that are not weights (position_ids) are left out. Throws
// Error(bad_file) when two tensors have the same name here, Error(internal) for a component without a row.
std::shared_ptr<const Checkpoint> with_canonical_names(std::shared_ptr<const Checkpoint> files,
                                                       std::string_view component);

// The properties of a model that decide the numbering in a single-file checkpoint.
struct LdmLayout {
  bool has_text_encoder = true;  // false: the refiner, whose only text encoder is embedder 0
  int text_encoder_2_layers = 32;
  std::vector<int> down_resnets = {2, 2, 2};  // per resolution, outermost first; the up blocks have one more each
  // Per resolution, innermost first: whether a transformer follows the last resnet of the up block. The upsampler is
  // then after that transformer.
  std::vector<bool> up_ends_in_transformer = {true, true, false};
  bool linear_projection = true;  // proj_in and proj_out are stored as matrices, not as 1x1 convolutions
  // The text projection is stored as `text_projection.weight` (out, in), not as `text_projection` (in, out).
  bool projection_is_linear = false;
  int vae_levels = 4;   // 0: no autoencoder
  int vae_resnets = 2;  // per level of the encoder; the decoder has one more

  bool operator==(const LdmLayout&) const = default;
};

// Names in a module that begin with these texts correspond; the rest is the same in both. Pairs with the same `ldm`
// make several tensors from one: q, k and v.
struct LdmPair {
  std::string_view ldm, diffusers;
  Transform transform = Transform::none;  // from the single file to diffusers
};

// A module such as a resnet: its place in both schemes, and the names in it. The places of two modules in single files
// are equal, or neither is the beginning of the other. So for a name, only the last place that is not greater can be
// its beginning, with the places that are equal to it.
struct LdmModule {
  std::string ldm, diffusers;
  std::span<const LdmPair> pairs;
};
using LdmModules = std::vector<LdmModule>;

class LdmNames {
 public:
  explicit LdmNames(const LdmLayout& layout);

  // The place of a component's tensor in a single file, with prefix: "model.diffusion_model.input_blocks.0.0.weight".
  // Transform makes the tensor from the stored one: three tensors may be thirds of one. Nothing for a name that is not
  // in the layout, or for a component that single files do not contain.
  std::optional<Source> ldm_name(std::string_view component, std::string_view diffusers_name) const;

  // The component's tensors in a single-file checkpoint, under diffusers' names. Throws Error(bad_file) when two
  // tensors have the same name here.
  std::shared_ptr<const Checkpoint> component(std::shared_ptr<const Checkpoint> file, std::string_view component) const;
  // `names`: those of the file, for callers that need several components.
  std::shared_ptr<const Checkpoint> component(std::shared_ptr<const Checkpoint> file, std::string_view component,
                                              std::span<const std::string> names) const;

 private:
  std::map<std::string, LdmModules, std::less<>> components_;  // sorted by the places in single files
};

}  // namespace tempera
