// The residual block that UNet and autoencoder share.
#pragma once

#include "ir/builder.h"

namespace tempera {

struct ResnetOptions {
  int64_t out = 0;
  int groups = 32;
  float eps = 1e-5f;
};

// Residual block (He et al. 2016, pre-activation; diffusers ResnetBlock2D). temb, if given, is the activated time
// embedding (N or 1, E), projected and added per channel.
inline Tensor resnet(Builder& b, Tensor x, const Tensor* temb, const Scope& w, const ResnetOptions& o) {
  const auto shortcut = [&] {
    return x.channels() == o.out
               ? x
               : b.conv2d(x, w / "conv_shortcut", {.out = o.out, .kernel = 1, .pad = 0, .into_stream = true});
  };
  // A shortcut to fewer channels is computed first. Then x, the largest value of the block, can be normalised in place.
  const bool early = o.out < x.channels();
  Tensor skip = early ? shortcut() : x;
  Tensor h =
      b.conv2d(b.silu(b.group_norm(x, w / "norm1", o.groups, o.eps)), w / "conv1", {.out = o.out, .into_stream = true});
  if (temb != nullptr) {
    const Tensor shift = b.linear(*temb, w / "time_emb_proj", {.out = o.out, .into_stream = true});
    h = b.add(h, b.view(shift, {shift.shape()[0], 1, 1, o.out}));
  }
  h = b.conv2d(b.silu(b.group_norm(h, w / "norm2", o.groups, o.eps)), w / "conv2", {.out = o.out, .into_stream = true});
  return b.add(h, early ? skip : shortcut());
}

}  // namespace tempera
