#include "models/unet.h"

#include "base/error.h"
#include "ir/builder.h"
#include "models/blocks.h"

namespace tempera {
namespace {

// bf16 has 8 significant bits. In a sum of many blocks, most of what one block adds would be lost in rounding.
DType stream_dtype(DType compute) {
  return compute == DType::bf16 ? DType::f32 : compute;
}

constexpr float kTransformerGroupEps = 1e-6f, kLayerNormEps = 1e-5f;

// What every block is conditioned on.
struct Condition {
  Tensor time;  // activated time embedding (N, E)
  Tensor text;  // (N, T, X)
};

class Unet {
 public:
  Unet(Builder& b, const UnetConfig& config) : b_(b), c_(config) {}

  // timestep: (N, 1), or (1, 1) for all rows. prefix: of the names of the conditioning's inputs.
  Tensor forward(Tensor sample, Tensor timestep, const UnetGraphOptions& o, const std::string& prefix = {}) {
    const Condition on = condition(timestep, o, prefix);
    Tensor x = b_.conv2d(sample, Scope{"conv_in"}, {.out = c_.down[0].channels, .into_stream = true});
    skips_ = {x};
    for (size_t i = 0; i < c_.down.size(); ++i) x = down(x, on, i);
    x = mid(x, on);
    for (size_t i = 0; i < c_.up.size(); ++i) x = up(x, on, i);
    x = b_.silu(b_.group_norm(x, Scope{"conv_norm_out"}, c_.norm_num_groups, eps()));
    return b_.conv2d(x, Scope{"conv_out"}, {.out = c_.out_channels});
  }

 private:
  float eps() const { return static_cast<float>(c_.norm_eps); }

  Tensor sinusoids(Tensor numbers, int dim) {
    const Tensor embedded =
        b_.op(TimestepEmbedding{dim, c_.flip_sin_to_cos, static_cast<float>(c_.freq_shift)}, {numbers});
    return b_.cast(embedded, b_.compute());
  }

  // The embedded guidance scale (N, C0) (diffusers get_guidance_scale_embedding and TimestepEmbedding.cond_proj). Its
  // sinusoids are sines first, and the last frequency is exactly 1 / 10000.
  Tensor guidance(const Scope& w, const UnetGraphOptions& o, const std::string& prefix) {
    const Tensor numbers = b_.input(prefix + "guidance", DType::f32, {o.batch, 1});
    const Tensor embedded = b_.op(TimestepEmbedding{c_.time_cond_proj_dim, false, 1}, {numbers});
    return b_.linear(b_.cast(embedded, b_.compute()), w / "cond_proj", {.out = c_.down[0].channels, .bias = false});
  }

  // linear, SiLU, linear (diffusers TimestepEmbedding).
  Tensor embedding_mlp(Tensor x, const Scope& w) {
    const LinearOptions out{.out = c_.time_embedding_dim, .into_stream = true};
    return b_.linear(b_.silu(b_.linear(x, w / "linear_1", out)), w / "linear_2", out);
  }

  Condition condition(Tensor timestep, const UnetGraphOptions& o, const std::string& prefix) {
    const int64_t pooled = c_.projection_class_embeddings_input_dim -
                           static_cast<int64_t>(o.micro_conditions) * c_.addition_time_embed_dim;
    const Tensor text =
        b_.input(prefix + "encoder_hidden_states", DType::f32, {o.batch, o.tokens, c_.cross_attention_dim});
    const Tensor text_embeds = b_.input(prefix + "text_embeds", DType::f32, {o.batch, pooled});
    const Tensor time_ids = b_.input(prefix + "time_ids", DType::f32, {o.batch, o.micro_conditions});
    const Tensor pooled_text = b_.cast(text_embeds, b_.compute());
    const Tensor added = b_.concat(pooled_text, sinusoids(time_ids, c_.addition_time_embed_dim));
    const Tensor constant = embedding_mlp(added, Scope{"add_embedding"});  // (N, E), the same at every step
    const Scope w{"time_embedding"};
    Tensor steps = sinusoids(timestep, c_.down[0].channels);
    if (c_.time_cond_proj_dim > 0) steps = b_.add(guidance(w, o, prefix), steps);
    const Tensor time = embedding_mlp(steps, w);
    // With a row for each of the batch, the sum follows the layer that runs in every step (fuse_epilogue).
    const Tensor sum = time.batch() == 1 ? b_.add(constant, time) : b_.add(time, constant);
    const Tensor activated = b_.cast(b_.silu(sum), b_.compute());
    return {activated, b_.cast(text, b_.compute())};
  }

  Tensor attend(Tensor x, Tensor source, const Scope& w, int heads) {
    const LinearOptions projection{.out = x.channels(), .bias = false};
    const Tensor q = b_.linear(x, w / "to_q", projection);
    const Tensor k = b_.linear(source, w / "to_k", projection);
    const Tensor v = b_.linear(source, w / "to_v", projection);
    return b_.linear(b_.attention(q, k, v, heads), w / "to_out" / 0, {.out = x.channels(), .into_stream = true});
  }

  Tensor feed_forward(Tensor x, const Scope& w) {
    const Tensor gated = b_.gelu_gate(b_.linear(x, w / "net" / 0 / "proj", {.out = 8 * x.channels()}));
    return b_.linear(gated, w / "net" / 2, {.out = x.channels(), .into_stream = true});
  }

  // Spatial transformer (Rombach et al. 2022; diffusers Transformer2DModel) over the pixels of x as tokens.
  Tensor transformer(Tensor x, const Condition& on, const Scope& w, int heads, int depth) {
    const int64_t channels = x.channels();
    Tensor h = b_.group_norm(x, w / "norm", c_.norm_num_groups, kTransformerGroupEps);
    h = b_.linear(b_.view(h, {x.batch(), x.height() * x.width(), channels}), w / "proj_in",
                  {.out = channels, .into_stream = true});
    for (int i = 0; i < depth; ++i) {
      const Scope block = w / "transformer_blocks" / i;
      const Tensor n1 = b_.layer_norm(h, block / "norm1", kLayerNormEps);
      h = b_.add(attend(n1, n1, block / "attn1", heads), h);
      h = b_.add(attend(b_.layer_norm(h, block / "norm2", kLayerNormEps), on.text, block / "attn2", heads), h);
      h = b_.add(feed_forward(b_.layer_norm(h, block / "norm3", kLayerNormEps), block / "ff"), h);
    }
    h = b_.linear(h, w / "proj_out", {.out = channels, .into_stream = true});
    return b_.add(b_.view(h, x.shape()), x);
  }

  // A resnet and, where the block has them, a transformer.
  Tensor layer(Tensor x, const Condition& on, const Scope& w, const UnetBlock& block, int i) {
    x = resnet(b_, x, &on.time, w / "resnets" / i, {block.channels, c_.norm_num_groups, eps()});
    const int depth = block.depths[static_cast<size_t>(i)];
    return depth > 0 ? transformer(x, on, w / "attentions" / i, block.heads, depth) : x;
  }

  Tensor down(Tensor x, const Condition& on, size_t index) {
    const UnetBlock& block = c_.down[index];
    const Scope w = Scope{"down_blocks"} / static_cast<int>(index);
    for (int i = 0; i < block.resnets(); ++i) skips_.push_back(x = layer(x, on, w, block, i));
    if (index + 1 < c_.down.size())
      skips_.push_back(
          x = b_.conv2d(x, w / "downsamplers" / 0 / "conv", {.out = block.channels, .stride = 2, .into_stream = true}));
    return x;
  }

  Tensor mid(Tensor x, const Condition& on) {
    const Scope w{"mid_block"};
    const ResnetOptions same{x.channels(), c_.norm_num_groups, eps()};
    if (c_.mid.kind == UnetMidBlock::Kind::none) return x;
    x = resnet(b_, x, &on.time, w / "resnets" / 0, same);
    if (c_.mid.kind == UnetMidBlock::Kind::resnet) return x;
    x = transformer(x, on, w / "attentions" / 0, c_.mid.heads, c_.mid.depth);
    return resnet(b_, x, &on.time, w / "resnets" / 1, same);
  }

  Tensor up(Tensor x, const Condition& on, size_t index) {
    const UnetBlock& block = c_.up[index];
    const Scope w = Scope{"up_blocks"} / static_cast<int>(index);
    for (int i = 0; i < block.resnets(); ++i) {
      const Tensor skip = skips_.back();
      skips_.pop_back();
      x = layer(b_.concat(x, skip), on, w, block, i);
    }
    if (index + 1 < c_.up.size()) {
      const Tensor& next = skips_.back();
      x = b_.upsample2x(b_.cast(x, b_.compute()), next.height(), next.width());
      x = b_.conv2d(x, w / "upsamplers" / 0 / "conv", {.out = block.channels, .into_stream = true});
    }
    return x;
  }

  Builder& b_;
  const UnetConfig& c_;
  std::vector<Tensor> skips_;
};

// [a..., b...]: dense tensors one after the other are rows side by side.
Tensor stacked(Builder& b, Tensor first, Tensor second) {
  Shape both = first.shape();
  both.set(0, 2 * both[0]);
  const Shape row{1, first.shape().elements()};
  return b.view(b.concat(b.view(first, row), b.view(second, row)), both);
}

}  // namespace

Graph unet_graph(const UnetConfig& config, const UnetGraphOptions& o) {
  Builder b("unet", o.dtype, stream_dtype(o.dtype));
  const Tensor sample = b.input("sample", DType::f32, {o.batch, o.height, o.width, config.in_channels}, Rate::step);
  const Tensor timestep = b.input("timestep", DType::f32, {1, 1}, Rate::step);
  const Tensor predicted = Unet(b, config).forward(b.cast(sample, o.dtype), timestep, o);
  b.output("sample", b.op(Cast{DType::f32}, {predicted}));
  return std::move(b).finish();
}

Graph denoise_graph(const UnetConfig& config, const DenoiseGraphOptions& o) {
  UnetGraphOptions unet = o.unet;
  TEMPERA_ASSERT(o.guided >= 0 && o.guided <= o.images);
  TEMPERA_ASSERT(!o.two_passes || o.guided == 0 || o.guided == o.images);
  const bool two_passes = o.guided > 0 && o.two_passes;
  const int negative = two_passes ? 0 : o.guided;  // rows of the batch
  unet.batch = negative + o.images;
  Builder b("unet", unet.dtype, stream_dtype(unet.dtype));
  const int64_t channels = config.reads_mask() ? config.out_channels : config.in_channels;
  const Shape latent{o.images, unet.height, unet.width, channels};
  Shape state_shape = latent;
  state_shape.set(1, static_cast<int64_t>(o.slots) * unet.height);

  const Tensor state = b.input("state", DType::f32, state_shape, Rate::step);
  const Tensor noise = b.input("noise", DType::f32, latent, Rate::step);
  Tensor timestep = b.input("timestep", DType::f32, {o.images, 1}, Rate::step);
  const Tensor step = b.input("step", DType::f32, {o.images, StepLayout::length(o.slots)}, Rate::step);

  Tensor sample = b.op(ModelInput{negative, o.slots, unet.dtype}, {state, step});
  if (config.reads_mask()) {
    const Shape shape{o.images, unet.height, unet.width, 1 + channels};
    const Tensor condition = b.cast(b.input("inpaint_condition", DType::f32, shape), unet.dtype);
    sample = b.concat(sample, negative > 0 ? b.op(BranchRows{negative}, {condition}) : condition);
  }
  if (o.images > 1 && negative > 0) timestep = b.op(BranchRows{negative}, {timestep});
  Unet network(b, config);
  Tensor prediction = network.forward(sample, timestep, unet, two_passes ? "negative_" : "");
  if (two_passes) prediction = stacked(b, prediction, network.forward(sample, timestep, unet));
  if (o.guided > 0) prediction = b.op(Guidance{o.guided, o.guidance_rescale}, {prediction, step});
  const Tensor ready = o.thresholding ? b.op(ThresholdSample{o.slots}, {state, prediction, step}) : state;
  Tensor next = b.op(SamplerUpdate{o.slots}, {ready, prediction, noise, step});
  if (o.blend) {
    Shape pixel = latent;
    pixel.set(3, 1);
    const Tensor original = b.input("original", DType::f32, latent), start = b.input("start_noise", DType::f32, latent);
    const Tensor mask = b.input("mask", DType::f32, pixel);
    next = b.op(BlendMask{o.slots}, {next, original, start, mask, step});
  }
  b.output("state", next, "state");
  return std::move(b).finish();
}

}  // namespace tempera
