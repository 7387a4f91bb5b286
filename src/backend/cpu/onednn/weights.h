// The shared part of all rows that use oneDNN: the problems that they can run, and the packing of their weights. Input
// 1 is the matrix or kernel, in blocks. A bias (f32, as from the builder) stays plain.
#pragma once

#include "backend/cpu/launch.h"
#include "backend/cpu/onednn/plan.h"

namespace tempera::onednn {

// A reason to refuse `problem`: its types, or the error of make() if it finds no plan.
std::optional<std::string> refuse_plan(const Problem& problem, const std::function<void()>& make);

// For KernelInfo::packed: weight 1 is `parts` pieces of `layout` one after the other.
KernelInfo::Packed packed_weight(const Problem& problem, int input, const WeightLayout& layout, int pieces);

// For Kernel::pack, with the same form.
void pack_input(const Problem& problem, int input, std::span<const WeightPart> parts, const WeightLayout& layout,
                int pieces, std::byte* destination);

}  // namespace tempera::onednn
