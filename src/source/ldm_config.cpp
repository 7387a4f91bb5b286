#include "source/ldm_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "base/error.h"
#include "models/components.h"

namespace tempera {
namespace {
constexpr int kHeadWidth = 64;
constexpr int kMaxDim = 1 << 24;
// Beyond any model; ends a count in a hostile file early.
constexpr int kMaxCount = 1000;
// Of levels and of resnets in one: all their names are made before they are checked, and more are refused then.
constexpr int kMaxVaeCount = 20;

// A tensor that only one kind of checkpoint has, by a part of its name.
struct Sign {
  std::string_view part, kind;
};
constexpr std::string_view kUnetAlone = "an SDXL UNet without its text encoders";
// The order matters: more specific rows are first.
constexpr std::array kOtherKinds = {
    Sign{"lora_down.", "a LoRA"},
    Sign{".lora_A.", "a LoRA"},
    Sign{"control_model.", "a ControlNet"},
    Sign{"controlnet_cond_embedding.", "a ControlNet"},
    Sign{"joint_blocks.", "Stable Diffusion 3"},
    Sign{"double_blocks.", "Flux"},
    Sign{"cond_stage_model.model.", "Stable Diffusion 2"},
    Sign{"cond_stage_model.", "Stable Diffusion 1"},
    Sign{"label_emb.0.0.", kUnetAlone},
    Sign{"model.diffusion_model.", "the UNet of another model"},
    Sign{"down_blocks.0.resnets.", "a component of a diffusers model: give the folder that has model_index.json"},
    Sign{"first_stage_model.", "a VAE alone"},
    Sign{"encoder.down.", "a VAE alone"},
    Sign{"clip_g", "a textual inversion embedding"},
    Sign{"text_model.", "a text encoder alone"},
};

[[noreturn]] void refuse_kind(const Checkpoint& file, std::string_view what) {
  const std::vector<std::string> names = file.names();
  for (const Sign& sign : kOtherKinds) {
    const auto has_part = [&](const std::string& name) { return name.find(sign.part) != std::string::npos; };
    if (std::any_of(names.begin(), names.end(), has_part)) {
      if (sign.kind == kUnetAlone) {
        fail(ErrorCode::bad_file,
             "'{}' is not an SDXL checkpoint (looks like {}): give it as {}, and a whole model as {}", what, sign.kind,
             FieldName{"unet"}, FieldName{"model"});
      }
      fail(ErrorCode::bad_file, "'{}' is not an SDXL checkpoint (looks like {})", what, sign.kind);
    }
  }
  fail(ErrorCode::bad_file, "'{}' is not an SDXL checkpoint (looks like none that is known: {})", what,
       names.empty() ? "it has no tensors" : "its first tensor is " + in_quotes(names[0]));
}

class Shapes {
 public:
  // config_field: the field that gives what shapes do not say.
  explicit Shapes(const Checkpoint& tensors, std::string_view config_field = "model_config")
      : tensors_(tensors), names_(tensors.names()), config_field_(config_field) {}

  const std::vector<std::string>& names() const { return names_; }
  bool has(const std::string& name) const { return std::binary_search(names_.begin(), names_.end(), name); }
  int rank(const std::string& name) const { return static_cast<int>(tensors_.get(name).dims.size()); }

  // A dimension, as a number of things that there can be.
  int dim(const std::string& name, size_t index) const {
    const CheckpointTensor tensor = tensors_.get(name);
    if (index >= tensor.dims.size() || tensor.dims[index] < 1 || tensor.dims[index] > kMaxDim) refuse(name);
    return static_cast<int>(tensor.dims[index]);
  }
  [[noreturn]] void refuse(const std::string& name) const {
    fail(ErrorCode::bad_file, "the tensor {} has the shape {}, which no SDXL model has", tensors_.origin(name),
         dims_to_string(tensors_.get(name).dims));
  }

  // How many of name(0), name(1), ... there are, or `most`.
  template <class Name>
  int count(const Name& name, int most = kMaxCount) const {
    int n = 0;
    while (n < most && has(name(n))) ++n;
    return n;
  }

  int heads(int width, const std::string& name) const {
    if (width % kHeadWidth != 0) {
      fail(ErrorCode::bad_file,
           "{} is for a width of {}, which is no multiple of {}: the file does not say how many attention heads there "
           "are, so name a folder with diffusers configs ({})",
           tensors_.origin(name), width, kHeadWidth, FieldName{config_field_});
    }
    return width / kHeadWidth;
  }

 private:
  const Checkpoint& tensors_;
  std::vector<std::string> names_;
  std::string_view config_field_;
};

// `tensors` under diffusers' names, as all below.
ClipConfig read_clip(const Checkpoint& tensors, ClipActivation act) {
  const Shapes shapes(tensors);
  const std::string tokens = "text_model.embeddings.token_embedding.weight";
  const std::string mlp = "text_model.encoder.layers.0.mlp.fc1.weight";
  const auto layer = [](int i) { return fmt::format("text_model.encoder.layers.{}.mlp.fc1.weight", i); };
  ClipConfig clip;
  clip.vocab_size = shapes.dim(tokens, 0);
  clip.hidden_size = shapes.dim(tokens, 1);
  clip.num_attention_heads = shapes.heads(clip.hidden_size, tokens);
  clip.max_position_embeddings = shapes.dim("text_model.embeddings.position_embedding.weight", 0);
  clip.intermediate_size = shapes.dim(mlp, 0);
  clip.num_hidden_layers = shapes.count(layer);
  clip.hidden_act = act;
  clip.eos_token_id = clip.vocab_size - 1;  // CLIP's last token
  if (const std::string projection = "text_projection.weight"; shapes.has(projection)) {
    clip.projection_dim = shapes.dim(projection, 0);
  }
  return clip;
}

int read_depth(const Shapes& shapes, const std::string& transformer) {
  return shapes.count([&](int i) { return fmt::format("{}transformer_blocks.{}.attn2.to_k.weight", transformer, i); });
}

// A block of the UNet: `name` is "down_blocks.0." or "up_blocks.0.".
UnetBlock read_block(const Shapes& shapes, const std::string& name, int resnets) {
  const auto conv = [&](int i) { return fmt::format("{}resnets.{}.conv2.weight", name, i); };
  UnetBlock block;
  block.channels = shapes.dim(conv(0), 0);
  for (int i = 0; i < resnets; ++i) {
    if (shapes.dim(conv(i), 0) != block.channels) shapes.refuse(conv(i));
    block.depths.push_back(read_depth(shapes, fmt::format("{}attentions.{}.", name, i)));
    if (block.depths.back() > 0) block.heads = shapes.heads(block.channels, conv(i));
  }
  return block;
}

UnetConfig read_unet(const Shapes& shapes, const Checkpoint& tensors, const LdmLayout& layout) {
  UnetConfig unet;
  unet.in_channels = shapes.dim("conv_in.weight", 1);
  unet.out_channels = shapes.dim("conv_out.weight", 0);
  unet.use_linear_projection = layout.linear_projection;
  unet.time_embedding_dim = shapes.dim("time_embedding.linear_1.weight", 0);
  unet.projection_class_embeddings_input_dim = shapes.dim("add_embedding.linear_1.weight", 1);
  const size_t levels = layout.down_resnets.size();
  for (size_t i = 0; i < levels; ++i) {
    unet.down.push_back(read_block(shapes, fmt::format("down_blocks.{}.", i), layout.down_resnets[i]));
    unet.up.push_back(read_block(shapes, fmt::format("up_blocks.{}.", i), layout.down_resnets[levels - 1 - i] + 1));
  }
  unet.mid.kind =
      shapes.has("mid_block.resnets.0.conv1.weight") ? UnetMidBlock::Kind::resnet : UnetMidBlock::Kind::none;
  if (const int depth = read_depth(shapes, "mid_block.attentions.0."); depth > 0) {
    unet.mid = {UnetMidBlock::Kind::cross_attention,
                shapes.heads(unet.down.back().channels, "mid_block.resnets.0.conv1.weight"), depth};
  }
  const std::vector<std::string> names = tensors.names();
  const auto text = std::find_if(names.begin(), names.end(),
                                 [](const std::string& name) { return name.ends_with(".attn2.to_k.weight"); });
  if (text != names.end()) unet.cross_attention_dim = shapes.dim(*text, 1);
  return unet;
}

VaeConfig read_vae(const Checkpoint& tensors, const LdmLayout& layout) {
  const Shapes shapes(tensors);
  VaeConfig vae;
  vae.layers_per_block = layout.vae_resnets;
  vae.latent_channels = shapes.dim("decoder.conv_in.weight", 1);
  vae.out_channels = shapes.dim("decoder.conv_out.weight", 0);
  vae.in_channels = vae.out_channels;
  for (int i = layout.vae_levels - 1; i >= 0; --i) {
    vae.block_out_channels.push_back(shapes.dim(fmt::format("decoder.up_blocks.{}.resnets.0.conv2.weight", i), 0));
  }
  vae.use_quant_conv = shapes.has("quant_conv.weight");
  vae.use_post_quant_conv = shapes.has("post_quant_conv.weight");
  vae.mid_block_add_attention = shapes.has("decoder.mid_block.attentions.0.to_q.weight");
  return vae;
}

// The numbering, read from the file's own names.
LdmLayout read_layout(const Shapes& shapes, bool refiner) {
  LdmLayout layout;
  layout.has_text_encoder = !refiner;
  layout.text_encoder_2_layers = shapes.count([&](int i) {
    return fmt::format("conditioner.embedders.{}.model.transformer.resblocks.{}.mlp.c_fc.weight", refiner ? 0 : 1, i);
  });

  const std::string model = "model.diffusion_model.";
  layout.down_resnets = {0};
  for (int i = 1; i < kMaxCount; ++i) {
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

  // Pruned files may have no encoder, so the decoder is used.
  const std::string vae = shapes.has("vae.decoder.conv_in.weight") ? "vae." : "first_stage_model.";
  layout.vae_levels =
      shapes.count([&](int i) { return fmt::format("{}decoder.up.{}.block.0.conv1.weight", vae, i); }, kMaxVaeCount);
  layout.vae_resnets =
      shapes.count([&](int i) { return fmt::format("{}decoder.up.0.block.{}.conv1.weight", vae, i); }, kMaxVaeCount) -
      1;
  return layout;
}

std::vector<double> read_numbers(const Checkpoint& file, std::string_view name, int count) {
  const CheckpointTensor tensor = file.get(name);
  const DType type = tensor.dtype;
  if (tensor.elements() != count || (type != DType::f32 && type != DType::f16 && type != DType::bf16)) {
    fail(ErrorCode::bad_file, "the tensor {} has the shape {}, must hold {} floating-point numbers", file.origin(name),
         dims_to_string(tensor.dims), count);
  }
  const std::vector<float> numbers = tensor.floats();
  return {numbers.begin(), numbers.end()};
}

// A file seen as one of its components; does not own it.
std::shared_ptr<const Checkpoint> borrowed(const Checkpoint& file) {
  return {std::shared_ptr<const Checkpoint>(), &file};
}
}  // namespace

bool is_ldm_refiner(const Checkpoint& file, std::string_view what) {
  const Shapes shapes(file);
  const auto has_open_clip = [&](int embedder) {
    return shapes.has(fmt::format("conditioner.embedders.{}.model.transformer.resblocks.0.mlp.c_proj.bias", embedder));
  };
  if (!shapes.has("model.diffusion_model.input_blocks.0.0.weight")) refuse_kind(file, what);
  if (has_open_clip(1)) return false;
  if (has_open_clip(0)) return true;
  refuse_kind(file, what);
}

LdmModel read_ldm_model(const Checkpoint& file, std::string_view what) {
  const bool refiner = is_ldm_refiner(file, what);
  const Shapes shapes(file);
  LdmModel model;
  model.layout = read_layout(shapes, refiner);
  const LdmNames names(model.layout);
  const auto component = [&](std::string_view name) { return names.component(borrowed(file), name, shapes.names()); };

  if (!refiner) model.config.text_encoder = read_clip(*component("text_encoder"), ClipActivation::quick_gelu);
  model.config.text_encoder_2 = read_clip(*component("text_encoder_2"), ClipActivation::gelu);
  const auto unet_tensors = component("unet");
  model.config.unet = read_unet(Shapes(*unet_tensors), *unet_tensors, model.layout);
  model.config.vae = read_vae(*component("vae"), model.layout);
  model.config.force_zeros_for_empty_prompt = !refiner;
  model.config.requires_aesthetics_score = refiner;
  UnetConfig& unet = model.config.unet;
  unet.addition_time_embed_dim =
      (unet.projection_class_embeddings_input_dim - model.config.text_encoder_2.projection_dim) /
      model.config.micro_conditioning_count();
  if (shapes.has("edm_mean")) {  // Playground 2.5: diffusers create_vae_diffusers_config_from_ldm
    model.config.vae.latents_mean = read_numbers(file, "edm_mean", model.config.vae.latent_channels);
    model.config.vae.latents_std = read_numbers(file, "edm_std", model.config.vae.latent_channels);
    model.config.vae.scaling_factor = 0.5;
    // diffusers _legacy_load_scheduler
    model.scheduler_config = R"({"_class_name": "EDMDPMSolverMultistepScheduler", "algorithm_type": "dpmsolver++",
  "final_sigmas_type": "zero", "lower_order_final": true, "num_train_timesteps": 1000, "prediction_type": "epsilon",
  "rho": 7.0, "sigma_data": 0.5, "sigma_max": 80.0, "sigma_min": 0.002, "solver_order": 2, "solver_type": "midpoint"})";
  } else {
    model.scheduler_config = sdxl_scheduler_config(shapes.has("v_pred"), shapes.has("ztsnr"));
  }

  for (const auto& [name, config] : component_configs(model.config)) check_config(config, what);
  check(model.config, what);
  return model;
}

UnetConfig read_unet_shapes(const Checkpoint& tensors) {
  const Shapes shapes(tensors, "unet_config");
  const auto conv = [](int level, int i) { return fmt::format("down_blocks.{}.resnets.{}.conv1.weight", level, i); };
  tensors.get(conv(0, 0));  // throws if it is missing
  LdmLayout layout;
  layout.down_resnets.clear();
  while (layout.down_resnets.size() < kMaxCount) {
    const auto level = static_cast<int>(layout.down_resnets.size());
    const int resnets = shapes.count([&](int i) { return conv(level, i); });
    if (resnets == 0) break;
    layout.down_resnets.push_back(resnets);
  }
  return read_unet(shapes, tensors, layout);
}

LdmLayout read_unet_layout(const Checkpoint& file) {
  return read_layout(Shapes(file), false);
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

std::string sdxl_scheduler_config(bool v_prediction, bool zero_terminal_snr) {
  return fmt::format(R"({{
  "_class_name": "EulerDiscreteScheduler",
  "beta_end": 0.012,
  "beta_schedule": "scaled_linear",
  "beta_start": 0.00085,
  "interpolation_type": "linear",
  "num_train_timesteps": 1000,
  "prediction_type": "{}",
  "rescale_betas_zero_snr": {},
  "steps_offset": 1,
  "timestep_spacing": "leading",
  "use_karras_sigmas": false
}})",
                     v_prediction ? "v_prediction" : "epsilon", zero_terminal_snr);
}

}  // namespace tempera
