// The loops of the reference backend, one function per op. Each computes the whole problem from the addresses in the
// binding. ir/ops.h describes the results.
#pragma once

#include "backend/backend.h"

namespace tempera::reference {

// Kernels that need scratch memory allocate it when they are bound.
Launch bind_conv2d(const Problem& p, const Binding& b);
Launch bind_linear(const Problem& p, const Binding& b);
Launch bind_geglu_linear(const Problem& p, const Binding& b);
Launch bind_attention(const Problem& p, const Binding& b);

void gelu_gate(const Problem& p, const Binding& b);
void group_norm(const Problem& p, const Binding& b);
void layer_norm(const Problem& p, const Binding& b);
void activate(const Problem& p, const Binding& b);
void add(const Problem& p, const Binding& b);
void scale(const Problem& p, const Binding& b);
void concat(const Problem& p, const Binding& b);
void upsample2x(const Problem& p, const Binding& b);
void cast(const Problem& p, const Binding& b);
void to_rgb8(const Problem& p, const Binding& b);
void embed(const Problem& p, const Binding& b);
void gather_row(const Problem& p, const Binding& b);
void timestep_embedding(const Problem& p, const Binding& b);
void branch_rows(const Problem& p, const Binding& b);
void model_input(const Problem& p, const Binding& b);
void guidance(const Problem& p, const Binding& b);
void threshold_sample(const Problem& p, const Binding& b);
void sampler_update(const Problem& p, const Binding& b);
void blend_mask(const Problem& p, const Binding& b);

// The largest number of slots for sampler_update. Samplers need at most six.
inline constexpr int kMaxSlots = 16;

}  // namespace tempera::reference
