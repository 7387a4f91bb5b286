#include "source/ldm_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "models/components.h"
#include "source/classify.h"
#include "source/marks.h"
#include "source/shapes.h"
#include "source/vae_file.h"
#include "weights/ldm_pairs.h"

namespace tempera {
namespace {
constexpr int kHeadWidth = 64;

[[noreturn]] void refuse_kind(const Checkpoint& file, std::string_view what) {
  const FileClass looks = classify(file);
  const bool sdxl = looks.base == "sdxl" || looks.base == "sdxl-refiner";
  Message remedy = make_message("use a model of SDXL");
  switch (looks.kind) {
    case FileKind::checkpoint:
      if (sdxl) remedy = make_message("parts of the text encoders or of the UNet are missing, use a whole checkpoint");
      break;
    case FileKind::unet:
      if (sdxl) remedy = make_message("give it as {}, and a whole model as {}", FieldName{"unet"}, FieldName{"model"});
      break;
    case FileKind::vae:
      remedy = make_message("give it as {}, and a checkpoint as {}", FieldName{"vae"}, FieldName{"model"});
      break;
    case FileKind::tiny_vae:
      remedy = make_message("give it as {}, and a checkpoint as {}", FieldName{"tiny_vae"}, FieldName{"model"});
      break;
    case FileKind::text_encoder:
    case FileKind::image_encoder:
      remedy = make_message("use a checkpoint that has all parts of a model, or a diffusers folder");
      break;
    case FileKind::unknown: {
      const std::vector<std::string> names = file.names();
      const std::string first = names.empty() ? "it has no tensors" : "its first tensor is " + in_quotes(names[0]);
      fail(ErrorCode::bad_file, "'{}' is not an SDXL checkpoint (looks like none that is known: {})", what, first);
    }
    default:
      remedy = make_message("give {} the checkpoint that it is for", FieldName{"model"});
  }
  fail(ErrorCode::bad_file, "'{}' is not an SDXL checkpoint (looks like {}): {}", what, describe(looks), remedy);
}

int heads(const Shapes& shapes, int width, const std::string& name) {
  if (width % kHeadWidth != 0) {
    fail(ErrorCode::bad_file,
         "{} is for a width of {}, which is no multiple of {}: the file does not say how many attention heads there "
         "are, so name a folder with diffusers configs ({})",
         shapes.tensors().origin(name), width, kHeadWidth, FieldName{shapes.config_field()});
  }
  return width / kHeadWidth;
}

// `tensors` under diffusers' names, as all below.
ClipConfig read_clip(const Checkpoint& tensors, ClipActivation act) {
  const Shapes shapes(tensors);
  const std::string tokens = "text_model.embeddings.token_embedding.weight";
  const std::string mlp = "text_model.encoder.layers.0.mlp.fc1.weight";
  ClipConfig clip;
  clip.vocab_size = shapes.dim(tokens, 0);
  clip.hidden_size = shapes.dim(tokens, 1);
  clip.num_attention_heads = heads(shapes, clip.hidden_size, tokens);
  clip.max_position_embeddings = shapes.dim("text_model.embeddings.position_embedding.weight", 0);
  clip.intermediate_size = shapes.dim(mlp, 0);
  clip.num_hidden_layers = shapes.extent("text_model.encoder.layers.");
  clip.hidden_act = act;
  clip.eos_token_id = clip.vocab_size - 1;  // CLIP's last token
  if (const std::string projection = "text_projection.weight"; shapes.has(projection)) {
    clip.projection_dim = shapes.dim(projection, 0);
  }
  return clip;
}

int read_depth(const Shapes& shapes, const std::string& transformer) {
  return shapes.extent(transformer + "transformer_blocks.");
}

// A block of the UNet: `name` is "down_blocks.0." or "up_blocks.0.".
UnetBlock read_block(const Shapes& shapes, const std::string& name, int resnets) {
  const auto conv = [&](int i) { return fmt::format("{}resnets.{}.conv2.weight", name, i); };
  UnetBlock block;
  block.channels = shapes.dim(conv(0), 0);
  for (int i = 0; i < resnets; ++i) {
    if (shapes.dim(conv(i), 0) != block.channels) shapes.refuse(conv(i));
    block.depths.push_back(read_depth(shapes, fmt::format("{}attentions.{}.", name, i)));
    if (block.depths.back() > 0) block.heads = heads(shapes, block.channels, conv(i));
  }
  return block;
}

UnetConfig read_unet(const Shapes& shapes, const LdmLayout& layout) {
  UnetConfig unet;
  unet.in_channels = shapes.dim("conv_in.weight", 1);
  unet.out_channels = shapes.dim("conv_out.weight", 0);
  unet.use_linear_projection = layout.linear_projection;
  unet.time_embedding_dim = shapes.dim("time_embedding.linear_1.weight", 0);
  unet.projection_class_embeddings_input_dim = shapes.dim("add_embedding.linear_1.weight", 1);
  if (const std::string guidance = "time_embedding.cond_proj.weight"; shapes.has(guidance))
    unet.time_cond_proj_dim = shapes.dim(guidance, 1);
  const size_t levels = layout.down_resnets.size();
  for (size_t i = 0; i < levels; ++i) {
    unet.down.push_back(read_block(shapes, fmt::format("down_blocks.{}.", i), layout.down_resnets[i]));
    unet.up.push_back(read_block(shapes, fmt::format("up_blocks.{}.", i), layout.down_resnets[levels - 1 - i] + 1));
  }
  unet.mid.kind =
      shapes.has("mid_block.resnets.0.conv1.weight") ? UnetMidBlock::Kind::resnet : UnetMidBlock::Kind::none;
  if (const int depth = read_depth(shapes, "mid_block.attentions.0."); depth > 0) {
    unet.mid = {UnetMidBlock::Kind::cross_attention,
                heads(shapes, unet.down.back().channels, "mid_block.resnets.0.conv1.weight"), depth};
  }
  const std::vector<std::string>& names = shapes.names();
  const auto text = std::find_if(names.begin(), names.end(),
                                 [](const std::string& name) { return name.ends_with(".attn2.to_k.weight"); });
  if (text != names.end()) unet.cross_attention_dim = shapes.dim(*text, 1);
  return unet;
}

// The numbering, read from the file's own names.
LdmLayout read_layout(const Shapes& shapes, bool refiner) {
  LdmLayout layout;
  layout.has_text_encoder = !refiner;
  layout.text_encoder_2_layers = shapes.extent(ldm_open_clip(layout) + "transformer.resblocks.");

  const std::string model = "model.diffusion_model.";
  layout.down_resnets = {0};
  for (int i = 1; i < Shapes::kMaxCount; ++i) {
    const std::string block = fmt::format("{}input_blocks.{}.", model, i);
    if (shapes.has(block + "0.op.weight")) {
      layout.down_resnets.push_back(0);
    } else if (shapes.has(block + "0.in_layers.2.weight")) {
      ++layout.down_resnets.back();
    } else {
      break;
    }
    if (shapes.has(block + "1.proj_in.weight")) layout.linear_projection = shapes.rank(block + "1.proj_in.weight") == 2;
  }
  layout.up_ends_in_transformer.clear();
  int last = -1;
  for (size_t i = layout.down_resnets.size(); i-- > 0;) {
    last += layout.down_resnets[i] + 1;
    layout.up_ends_in_transformer.push_back(shapes.has(fmt::format("{}output_blocks.{}.1.norm.weight", model, last)));
  }

  return layout;
}

// With the size of the embeddings of the sizes, which is what remains next to the pooled text.
UnetConfig read_own_unet(const Checkpoint& tensors, const LdmModel& model) {
  UnetConfig unet = read_unet(Shapes(tensors), model.layout);
  unet.addition_time_embed_dim =
      (unet.projection_class_embeddings_input_dim - model.config.text_encoder_2.projection_dim) /
      model.config.micro_conditioning_count();
  return unet;
}

// A file seen as one of its components; does not own it.
std::shared_ptr<const Checkpoint> borrowed(const Checkpoint& file) {
  return {std::shared_ptr<const Checkpoint>(), &file};
}

bool is_refiner(const Shapes& shapes, std::string_view what, bool unet_is_replaced) {
  const auto has_open_clip = [&](int embedder) {
    return shapes.has(fmt::format("conditioner.embedders.{}.model.transformer.resblocks.0.mlp.c_proj.bias", embedder));
  };
  if (!unet_is_replaced && !shapes.has("model.diffusion_model.input_blocks.0.0.weight"))
    refuse_kind(shapes.tensors(), what);
  if (has_open_clip(1)) return false;
  if (has_open_clip(0)) return true;
  refuse_kind(shapes.tensors(), what);
}
}  // namespace

bool is_ldm_refiner(const Checkpoint& file, std::string_view what, bool unet_is_replaced) {
  return is_refiner(Shapes(file), what, unet_is_replaced);
}

LdmModel read_ldm_model(const Checkpoint& file, std::string_view what, const LdmReplaced& replaced) {
  const Shapes shapes(file);
  const bool refiner = is_refiner(shapes, what, replaced.unet);
  LdmModel model;
  model.layout = read_layout(shapes, refiner);
  read_vae_layout(shapes, model.layout);
  read_spelling(file, model.layout);
  const LdmNames names(model.layout);
  const auto component = [&](std::string_view name) { return names.component(borrowed(file), name, shapes.names()); };

  if (!refiner) model.config.text_encoder = read_clip(*component("text_encoder"), ClipActivation::quick_gelu);
  model.config.text_encoder_2 = read_clip(*component("text_encoder_2"), ClipActivation::gelu);
  model.config.force_zeros_for_empty_prompt = !refiner;
  model.config.requires_aesthetics_score = refiner;
  try {
    model.config.unet = read_own_unet(*component("unet"), model);
    check_config(model.config.unet, what);
  } catch (const Error&) {
    if (!replaced.unet) throw;
    model.config.unet = {};
  }
  // Without one: the usual one of SDXL, whose latents the UNet has.
  model.config.vae = sdxl_base().vae;
  if (replaced.vae != nullptr) {
    model.config.vae = *replaced.vae;
  } else if (model.layout.vae_levels > 0) {
    model.config.vae = vae_config_of(*component("vae"));
  }
  read_latents(file, model.config.vae);
  for (const auto& [name, config] : component_configs(model.config))
    if (name != "unet") check_config(config, what);
  if (!replaced.unet) check(model.config, what);
  return model;
}

UnetConfig read_unet_shapes(const Checkpoint& tensors) {
  const Shapes shapes(tensors, "unet_config");
  LdmLayout layout;
  layout.down_resnets.clear();
  const int levels = shapes.extent("down_blocks.");
  for (int i = 0; i < levels; ++i)
    layout.down_resnets.push_back(shapes.extent(fmt::format("down_blocks.{}.resnets.", i)));
  if (levels == 0) tensors.get("down_blocks.0.resnets.0.conv1.weight");  // throws
  return read_unet(shapes, layout);
}

LdmLayout read_unet_layout(const Checkpoint& file) {
  return read_layout(Shapes(file), false);
}

void read_spelling(const Checkpoint& file, LdmLayout& layout) {
  layout.projection_is_linear = file.find(ldm_open_clip(layout) + "text_projection.weight").has_value();
}

LdmLayout ldm_layout(const ModelConfig& config) {
  LdmLayout layout;
  layout.has_text_encoder = config.text_encoder.has_value();
  layout.text_encoder_2_layers = config.text_encoder_2.num_hidden_layers;
  layout.down_resnets.clear();
  for (const UnetBlock& block : config.unet.down) layout.down_resnets.push_back(block.resnets());
  layout.up_ends_in_transformer.clear();
  for (const UnetBlock& block : config.unet.up) layout.up_ends_in_transformer.push_back(block.depths.back() > 0);
  layout.linear_projection = config.unet.use_linear_projection;
  layout.vae_levels = static_cast<int>(config.vae.block_out_channels.size());
  layout.vae_resnets = config.vae.layers_per_block;
  return layout;
}

}  // namespace tempera
