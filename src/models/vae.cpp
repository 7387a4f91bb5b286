#include "models/vae.h"

#include "ir/builder.h"
#include "models/blocks.h"

namespace tempera {
namespace {

constexpr float kEps = 1e-6f;

// The published autoencoder's residual stream exceeds the range of f16. At a 256th of its size, its range is 16
// million. The values that are added to it are still exact to 2^-16, a 32nd of the rounding of f16 in a stream of size
// 1.
float stream_fraction(DType compute) {
  return compute == DType::f16 ? 1.0f / 256 : 1;
}

void pixels_out(Builder& b, Tensor image, PixelFormat format) {
  b.output("image", format == PixelFormat::rgb8 ? b.op(ToRgb8{}, {image}) : b.op(Cast{DType::f32}, {image}));
}

// From the UNet's result z to the input of a decoder: z / scaling_factor, or z std / scaling_factor + mean if the model
// has those. It multiplies by the reciprocal, as PyTorch does on a card.
Scale unscale(const VaeConfig& c) {
  if (c.latents_mean.empty()) return {{static_cast<float>(1 / c.scaling_factor)}, {0}};
  Scale scale{{}, {}};
  for (const double deviation : c.latents_std) scale.factor.push_back(static_cast<float>(deviation / c.scaling_factor));
  for (const double mean : c.latents_mean) scale.offset.push_back(static_cast<float>(mean));
  return scale;
}
Scale unscale(const TinyVaeConfig& c) {
  return {{static_cast<float>(1 / c.scaling_factor)}, {0}};
}

template <class Config>
Tensor latent_in(Builder& b, const Config& c, const VaeGraphOptions& o) {
  const Tensor latent = b.input("latent", DType::f32, {o.batch, o.height, o.width, c.latent_channels});
  const Scale scale = unscale(c);
  return b.cast(scale == Scale{} ? latent : b.op(scale, {latent}), o.dtype);
}

Tensor vae_resnet(Builder& b, Tensor x, const Scope& w, int out, const VaeConfig& c) {
  return resnet(b, x, nullptr, w, {out, c.norm_num_groups, kEps});
}

// Single-head self attention over all pixels.
Tensor pixel_attention(Builder& b, Tensor x, const Scope& w, const VaeConfig& c) {
  const LinearOptions same{.out = x.channels()};
  const Tensor h = b.view(b.group_norm(x, w / "group_norm", c.norm_num_groups, kEps),
                          {x.batch(), x.height() * x.width(), x.channels()});
  const Tensor q = b.linear(h, w / "to_q", same), k = b.linear(h, w / "to_k", same), v = b.linear(h, w / "to_v", same);
  const Tensor out = b.linear(b.attention(q, k, v, 1), w / "to_out" / 0, {.out = x.channels(), .into_stream = true});
  return b.add(b.view(out, x.shape()), x);
}

Tensor mid_block(Builder& b, Tensor x, const Scope& w, const VaeConfig& c) {
  const int channels = c.block_out_channels.back();
  x = vae_resnet(b, x, w / "resnets" / 0, channels, c);
  if (c.mid_block_add_attention) x = pixel_attention(b, x, w / "attentions" / 0, c);
  return vae_resnet(b, x, w / "resnets" / 1, channels, c);
}

Tensor norm_silu_conv(Builder& b, Tensor x, const Scope& w, int out, const VaeConfig& c) {
  return b.conv2d(b.silu(b.group_norm(x, w / "conv_norm_out", c.norm_num_groups, kEps)), w / "conv_out", {.out = out});
}

// conv, ReLU, conv, ReLU, conv, plus the input, ReLU (diffusers AutoencoderTinyBlock).
Tensor tiny_block(Builder& b, Tensor x, const Scope& w) {
  const Conv2dOptions same{.out = x.channels()};
  Tensor h = b.activate(b.conv2d(x, w / "conv" / 0, same), Activation::relu);
  h = b.activate(b.conv2d(h, w / "conv" / 2, same), Activation::relu);
  return b.activate(b.add(b.conv2d(h, w / "conv" / 4, same), x), Activation::relu);
}

}  // namespace

Graph vae_decoder_graph(const VaeConfig& c, const VaeGraphOptions& o) {
  Builder b("vae_decoder", o.dtype, o.dtype, stream_fraction(o.dtype));
  const Scope w{"decoder"};
  Tensor x = latent_in(b, c, o);
  if (c.use_post_quant_conv)
    x = b.conv2d(x, Scope{"post_quant_conv"}, {.out = c.latent_channels, .kernel = 1, .pad = 0});
  x = b.conv2d(x, w / "conv_in", {.out = c.block_out_channels.back(), .into_stream = true});
  x = mid_block(b, x, w / "mid_block", c);
  const int blocks = static_cast<int>(c.block_out_channels.size());
  for (int i = 0; i < blocks; ++i) {
    const Scope block = w / "up_blocks" / i;
    const int channels = c.block_out_channels[static_cast<size_t>(blocks - 1 - i)];
    for (int j = 0; j <= c.layers_per_block; ++j) x = vae_resnet(b, x, block / "resnets" / j, channels, c);
    if (i + 1 < blocks) {
      x = b.upsample2x(b.cast(x, o.dtype));
      x = b.conv2d(x, block / "upsamplers" / 0 / "conv", {.out = channels, .into_stream = true});
    }
  }
  pixels_out(b, norm_silu_conv(b, x, w, c.out_channels, c), o.pixels);
  return std::move(b).finish();
}

Graph vae_encoder_graph(const VaeConfig& c, const VaeGraphOptions& o) {
  Builder b("vae_encoder", o.dtype, o.dtype, stream_fraction(o.dtype));
  const Scope w{"encoder"};
  const int64_t scale = c.scale();
  Tensor x = b.cast(b.input("image", DType::f32, {o.batch, o.height * scale, o.width * scale, c.in_channels}), o.dtype);
  x = b.conv2d(x, w / "conv_in", {.out = c.block_out_channels[0], .into_stream = true});
  const int blocks = static_cast<int>(c.block_out_channels.size());
  for (int i = 0; i < blocks; ++i) {
    const Scope block = w / "down_blocks" / i;
    const int channels = c.block_out_channels[static_cast<size_t>(i)];
    for (int j = 0; j < c.layers_per_block; ++j) x = vae_resnet(b, x, block / "resnets" / j, channels, c);
    // Padded on the right and below only (diffusers Downsample2D with padding 0).
    if (i + 1 < blocks)
      x = b.conv2d(x, block / "downsamplers" / 0 / "conv",
                   {.out = channels, .stride = 2, .pad = 0, .pad_after = 1, .into_stream = true});
  }
  x = norm_silu_conv(b, mid_block(b, x, w / "mid_block", c), w, 2 * c.latent_channels, c);
  if (c.use_quant_conv) x = b.conv2d(x, Scope{"quant_conv"}, {.out = 2 * c.latent_channels, .kernel = 1, .pad = 0});
  b.output("moments", b.op(Cast{DType::f32}, {x}));
  return std::move(b).finish();
}

Graph tiny_vae_decoder_graph(const TinyVaeConfig& c, const VaeGraphOptions& o) {
  Builder b("tiny_vae_decoder", o.dtype);
  const Scope w = Scope{"decoder"} / "layers";
  Tensor x = latent_in(b, c, o);
  x = b.scale(b.activate(b.scale(x, 1.0f / 3), Activation::tanh), 3);
  int layer = 0;  // index in the Sequential; activations and upsamplers count
  x = b.activate(b.conv2d(x, w / layer, {.out = c.decoder_block_out_channels[0]}), Activation::relu);
  layer += 2;
  const size_t blocks = c.decoder_block_out_channels.size();
  for (size_t i = 0; i < blocks; ++i) {
    for (int j = 0; j < c.num_decoder_blocks[i]; ++j) x = tiny_block(b, x, w / layer++);
    const bool last = i + 1 == blocks;
    if (!last) {
      x = b.upsample2x(x);
      ++layer;
    }
    x = b.conv2d(x, w / layer++, {.out = last ? c.out_channels : c.decoder_block_out_channels[i], .bias = last});
  }
  pixels_out(b, b.scale(x, 2, -1), o.pixels);
  return std::move(b).finish();
}

Graph tiny_vae_encoder_graph(const TinyVaeConfig& c, const VaeGraphOptions& o) {
  Builder b("tiny_vae_encoder", o.dtype);
  const Scope w = Scope{"encoder"} / "layers";
  const size_t blocks = c.encoder_block_out_channels.size();
  const int64_t scale = int64_t{1} << (blocks - 1);
  Tensor x = b.cast(b.input("image", DType::f32, {o.batch, o.height * scale, o.width * scale, c.in_channels}), o.dtype);
  x = b.scale(x, 0.5f, 0.5f);
  int layer = 0;
  for (size_t i = 0; i < blocks; ++i) {
    const bool first = i == 0;
    x = b.conv2d(x, w / layer++, {.out = c.encoder_block_out_channels[i], .stride = first ? 1 : 2, .bias = first});
    for (int j = 0; j < c.num_encoder_blocks[i]; ++j) x = tiny_block(b, x, w / layer++);
  }
  x = b.conv2d(x, w / layer, {.out = c.latent_channels});
  b.output("latent", b.op(Cast{DType::f32}, {x}));
  return std::move(b).finish();
}

}  // namespace tempera
