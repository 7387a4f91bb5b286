// What all rows on oneDNN share: which problems they take and how their weight inputs are packed. Input 1 is the matrix
// or kernel, in blocks; a bias (f32, as the builder makes it) stays plain.
#pragma once

#include "backend/cpu/launch.h"
#include "backend/cpu/onednn/plan.h"

namespace tempera::onednn {

// A reason to refuse `problem`: its types, or that make() cannot find a plan.
std::optional<std::string> refuse_plan(const Problem& problem, const std::function<void()>& make);

// For KernelInfo::packed: weight 1 is `parts` pieces of `layout` one after the other.
KernelInfo::Packed packed_weight(const Problem& problem, int input, const WeightLayout& layout, int pieces);

// For Kernel::pack, likewise.
void pack_input(const Problem& problem, int input, std::span<const WeightPart> parts, const WeightLayout& layout,
                int pieces, std::byte* destination);

}  // namespace tempera::onednn
