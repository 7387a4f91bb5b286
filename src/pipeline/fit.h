// The fastest way to answer a request within the memory. Ways are lowered in the order of their cost, and the first one
// whose peak fits is used. Nothing is run and no weight is read.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "pipeline/stages.h"

namespace tempera {

// The value of EngineOptions::memory_budget.
struct MemoryBudget {
  size_t bytes = 0;
  double share = 0;  // of the free memory, if bytes is 0; neither: no budget
  bool given() const { return bytes > 0 || share > 0; }
  // In bytes, for this number of free bytes.
  size_t of(size_t free) const { return bytes > 0 ? bytes : static_cast<size_t>(static_cast<double>(free) * share); }
};

// The first placement to try: that of EngineOptions::offload, or, under a budget, the fastest one. Throws
// Error(invalid_argument) if both are given.
Placement first_placement(const EngineOptions& engine);

// "6GiB", "6GB", "512MiB", "80%", "auto" (all free memory), "" (none). Throws Error(invalid_argument) with `field`.
MemoryBudget parse_memory_budget(std::string_view text, std::string_view field = "memory_budget");

struct Fitted {
  Stages stages;
  ProgramOptions options;  // with the chosen placement, pictures per forward and tiling
  Plan plan;
  bool chosen = false;  // the options differ from the requested ones; `plan.choices` lists the ways that were tried
};

// The tiny autoencoder in a model's folder, if any. Opens it.
using OwnTinyVae = std::function<std::optional<TinyVaeConfig>()>;

// The limits of a request.
struct Limits {
  MemoryBudget budget = {};
  // The free memory of the device; empty if it is not known, as in a plan for another machine. Called only when it is
  // needed: the budget is a share of it, or there is no budget.
  std::function<std::optional<size_t>()> free = {};
  // Without a budget, fit a request that needs more than the free memory into the free memory. False if the user sets
  // the placement of parameters.
  bool fit_free_memory = true;
};

// The fastest way to answer a request within its limits. `options` is the first way and is used if it fits. If nothing
// fits, all ways are tried again with the model's own tiny autoencoder, unless the options name one. Throws
// Error(out_of_memory) with the peaks if none fits.
Fitted fit(const ModelConfig& model, const RequestShape& request, const Target& target, const ProgramOptions& options,
           const Limits& limits, const OwnTinyVae& own_tiny_vae);

}  // namespace tempera
