// How the tensors of each component are called: diffusers' names, which this program uses, and those of single-file
// (LDM, SGM) checkpoints. A component is known by the name of its folder in a diffusers model ("text_encoder"); its
// naming is a row in naming.cpp.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weights/adapt.h"
#include "weights/checkpoint.h"

namespace tempera {

// A component from a diffusers folder under the names this program uses, whatever version of diffusers or transformers
// wrote it: text encoders with the "text_model." prefix, the VAE's attention as to_q, to_k, to_v, to_out.0, 1x1
// convolutions that are used as matrices as matrices. Tensors that are no weights (position_ids) are left out. Throws
// Error(bad_file) when two tensors mean the same, Error(internal) for a component without a row.
std::shared_ptr<const Checkpoint> with_canonical_names(std::shared_ptr<const Checkpoint> files,
                                                       std::string_view component);

// What decides the numbering in a single-file checkpoint.
struct LdmLayout {
  bool has_text_encoder = true;  // false: the refiner, whose only text encoder is embedder 0
  int text_encoder_2_layers = 32;
  std::vector<int> down_resnets = {2, 2, 2};  // per resolution, outermost first; on the way up one more each
  // Per resolution, innermost first: whether a transformer follows the last resnet of the way up. Its upsampler stands
  // behind that transformer.
  std::vector<bool> up_ends_in_transformer = {true, true, false};
  bool linear_projection = true;  // proj_in and proj_out are stored as matrices, not as 1x1 convolutions
  int vae_levels = 4;
  int vae_resnets = 2;  // per level of the encoder; the decoder has one more

  bool operator==(const LdmLayout&) const = default;
};

// Names that begin with these belong together; what follows is the same in both. In either scheme no prefix is the
// beginning of another, so the last one that is not behind a name is the only one that can be its beginning.
struct LdmPair {
  std::string ldm, diffusers;
  Transform transform = Transform::none;  // from the single file to diffusers
};
using LdmPairs = std::vector<LdmPair>;

class LdmNames {
 public:
  explicit LdmNames(const LdmLayout& layout);

  // Where the tensor of a component is in a single file, with prefix: "model.diffusion_model.input_blocks.0.0.weight".
  // Transform tells how it is made from what is there: three tensors may be thirds of one. Nothing for a name that the
  // layout does not have, nor for a component that single files do not carry.
  std::optional<Source> ldm_name(std::string_view component, std::string_view diffusers_name) const;

  // The component's tensors in a single-file checkpoint, under diffusers' names. Throws Error(bad_file) when two
  // tensors mean the same.
  std::shared_ptr<const Checkpoint> component(std::shared_ptr<const Checkpoint> file, std::string_view component) const;

 private:
  struct Sorted {
    LdmPairs by_ldm, by_diffusers;
  };
  std::map<std::string, Sorted, std::less<>> components_;
};

}  // namespace tempera
