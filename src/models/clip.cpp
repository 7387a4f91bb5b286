#include "models/clip.h"

#include <algorithm>

#include "base/error.h"
#include "ir/builder.h"

namespace tempera {
namespace {

Tensor self_attention(Builder& b, Tensor x, const Scope& w, const ClipConfig& c) {
  const Tensor q = b.linear(x, w / "q_proj", {.out = c.hidden_size});
  const Tensor k = b.linear(x, w / "k_proj", {.out = c.hidden_size});
  const Tensor v = b.linear(x, w / "v_proj", {.out = c.hidden_size});
  return b.linear(b.attention(q, k, v, c.num_attention_heads, /*causal=*/true), w / "out_proj", {.out = c.hidden_size});
}

Tensor mlp(Builder& b, Tensor x, const Scope& w, const ClipConfig& c) {
  const Activation act = c.hidden_act == ClipActivation::quick_gelu ? Activation::quick_gelu : Activation::gelu;
  return b.linear(b.activate(b.linear(x, w / "fc1", {.out = c.intermediate_size}), act), w / "fc2",
                  {.out = c.hidden_size});
}

Tensor layer(Builder& b, Tensor x, const Scope& w, const ClipConfig& c) {
  const auto eps = static_cast<float>(c.layer_norm_eps);
  x = b.add(self_attention(b, b.layer_norm(x, w / "layer_norm1", eps), w / "self_attn", c), x);
  return b.add(mlp(b, b.layer_norm(x, w / "layer_norm2", eps), w / "mlp", c), x);
}

}  // namespace

Graph clip_text_graph(const ClipConfig& c, const ClipGraphOptions& o) {
  Builder b("text_encoder", o.dtype);
  const Scope model{"text_model"};
  const Shape ids_shape{o.batch, o.tokens};

  // hidden[i] is the state after i layers. skip s is hidden[layers - 1 - s].
  const int deepest =
      o.pooled ? c.num_hidden_layers : c.num_hidden_layers - 1 - *std::min_element(o.skips.begin(), o.skips.end());
  for (int skip : o.skips)
    if (skip < 0 || skip > c.num_hidden_layers - 1)
      fail(ErrorCode::invalid_argument, "clip_skip {} leaves no layer of a text encoder with {}: give at most {}", skip,
           c.num_hidden_layers, c.num_hidden_layers - 1);

  const Scope embeddings = model / "embeddings";
  const Tensor ids = b.input("ids", DType::i32, ids_shape);
  const Tensor table = b.weight(embeddings / "token_embedding" / "weight", o.dtype, {c.vocab_size, c.hidden_size});
  const Tensor positions =
      b.weight(embeddings / "position_embedding" / "weight", o.dtype, {c.max_position_embeddings, c.hidden_size});
  const Tensor at = b.input("positions", DType::i32, {1, o.tokens});
  const Tensor words =
      o.extra_tokens == 0
          ? b.op(Embed{}, {ids, table})
          : b.op(Embed{true}, {ids, table, b.input("extra", o.dtype, Shape{o.extra_tokens, c.hidden_size})});
  Tensor x = b.add(words, b.op(Embed{}, {at, positions}));

  for (int i = 0; i <= deepest; ++i) {
    for (int skip : o.skips)
      if (i == c.num_hidden_layers - 1 - skip) b.output(fmt::format("hidden.{}", skip), b.op(Cast{DType::f32}, {x}));
    if (i < deepest) x = layer(b, x, model / "encoder" / "layers" / i, c);
  }
  if (o.pooled) {
    TEMPERA_ASSERT(c.projection_dim > 0);
    x = b.layer_norm(x, model / "final_layer_norm", static_cast<float>(c.layer_norm_eps));
    const Tensor last = b.op(GatherRow{}, {x, b.input("eos", DType::i32, {o.batch})});
    b.output("pooled", b.op(Cast{DType::f32},
                            {b.linear(last, Scope{"text_projection"}, {.out = c.projection_dim, .bias = false})}));
  }
  return std::move(b).finish();
}

}  // namespace tempera
