// The fastest way to answer a request within the memory there is: ways are lowered in the order of what they cost, and
// the first whose peak fits is taken. Nothing is run and no weight is read.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "pipeline/stages.h"

namespace tempera {

// What EngineOptions::memory_budget says.
struct MemoryBudget {
  size_t bytes = 0;
  double share = 0;  // of what is free, where bytes is 0; neither: no budget
  bool given() const { return bytes > 0 || share > 0; }
  // In bytes, where `free` are.
  size_t of(size_t free) const { return bytes > 0 ? bytes : static_cast<size_t>(static_cast<double>(free) * share); }
};

// The placement to begin with: what EngineOptions::offload says, or, under a budget, all that is fastest. Throws
// Error(invalid_argument) where both are given.
Placement first_placement(const EngineOptions& engine);

// "6GiB", "6GB", "512MiB", "80%", "auto" (all that is free), "" (none). Throws Error(invalid_argument) naming `field`.
MemoryBudget parse_memory_budget(std::string_view text, std::string_view field = "memory_budget");

struct Fitted {
  Stages stages;
  ProgramOptions options;  // with placement, pictures per forward and tiling as chosen
  Plan plan;
  bool chosen = false;  // the options differ from the requested ones; `plan.choices` lists the ways that were tried
};

// The tiny autoencoder that a model carries, if any; opens it.
using OwnTinyVae = std::function<std::optional<TinyVaeConfig>()>;

// What limits a request.
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
