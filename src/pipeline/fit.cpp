#include "pipeline/fit.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace tempera {
namespace {

using enum Residency;

constexpr double kMebibyte = 1 << 20;

Fitted lowered(const ModelConfig& model, const RequestShape& r, const Target& target, const ProgramOptions& options) {
  Fitted fitted{build_stages(model, r, target, options), options, {}};
  fitted.plan = make_plan(model, fitted.stages, r, target, options);
  return fitted;
}

// Ways in the order of their cost. Streaming is before smaller batches, because copies run while steps compute, and a
// large batch hides them better. Tiles cost some per cent of decoding, and change pixels by less than one level, if at
// all.
std::vector<ProgramOptions> ways(const ProgramOptions& first, const RequestShape& r) {
  std::vector<ProgramOptions> list = {first};
  ProgramOptions way = first;
  const auto add = [&] { list.push_back(way); };
  const auto place_encoder = [&](Residency residency) {
    if (r.encodings == 0) return;
    way.placement.of(Role::encode) = residency;
    add();
  };
  way.placement.of(Role::text) = in_turn;
  add();
  place_encoder(in_turn);
  way.placement.of(Role::decode) = in_turn;
  add();
  way.placement.of(Role::text) = streamed;
  add();
  place_encoder(streamed);
  if (!way.decoder.tiling) {
    way.decoder.tiling = true;
    add();
  }
  way.placement.of(Role::denoise) = streamed;
  add();
  if (way.images_per_forward > 1) {
    way.images_per_forward = 1;
    add();
  }
  way.placement.of(Role::decode) = streamed;
  add();
  if (first.decoder.tile_pixels == 0) {
    way.decoder.tile_pixels = 256;
    add();
  }
  if (r.guidance) {
    way.two_passes = true;
    add();
  }
  way.placement.tight = true;
  add();
  return list;
}

// A streamed UNet keeps as many of its parameters as fit into the remaining memory.
Fitted with_room_used(const ModelConfig& model, const RequestShape& r, const Target& target, ProgramOptions options,
                      size_t budget) {
  Fitted fitted = lowered(model, r, target, options);
  if (options.placement.of(Role::denoise) != streamed || fitted.plan.memory.peak_bytes >= budget) return fitted;
  options.placement.stay = budget - fitted.plan.memory.peak_bytes;
  // What stays changes how the rest is cut and where it goes, by a little: asking for just that less would creep.
  constexpr size_t kMargin = size_t{64} << 10;
  for (int tries = 0; tries < 8; ++tries) {
    Fitted more = lowered(model, r, target, options);
    const size_t peak = more.plan.memory.peak_bytes;
    if (peak <= budget) return more;
    options.placement.stay -= std::min(options.placement.stay, peak - budget + (kMargin << tries));
  }
  return fitted;
}

// Adds the tried ways to `choices`, but no way that needs more memory than the one before it.
std::optional<Fitted> first_that_fits(const ModelConfig& model, const RequestShape& r, const Target& target,
                                      const ProgramOptions& first, size_t budget, std::vector<BudgetChoice>& choices) {
  for (const ProgramOptions& way : ways(first, r)) {
    Fitted fitted = with_room_used(model, r, target, way, budget);
    const size_t peak = fitted.plan.memory.peak_bytes;
    if (!choices.empty() && peak >= choices.back().peak_bytes) continue;
    choices.push_back({fitted.plan.residency, peak, peak <= budget});
    if (choices.back().fits) return fitted;
  }
  return std::nullopt;
}

[[noreturn]] void none_fits(const std::vector<BudgetChoice>& choices, size_t budget) {
  std::string peaks;
  for (const BudgetChoice& choice : choices)
    peaks += fmt::format("{} {:.0f} MiB with {}", peaks.empty() ? "" : ";",
                         std::ceil(static_cast<double>(choice.peak_bytes) / kMebibyte), choice.mode);
  fail(ErrorCode::out_of_memory,
       "nothing fits into {:.0f} MiB: give {} more, or ask for fewer or smaller pictures; the peaks are{}",
       static_cast<double>(budget) / kMebibyte, FieldName{"memory_budget"}, peaks);
}

}  // namespace

Placement first_placement(const EngineOptions& engine) {
  if (engine.memory_budget.empty()) return placement_for(engine.offload);
  if (engine.offload != "auto")
    fail(ErrorCode::invalid_argument, "{} chooses what is offloaded: leave out {} {}", FieldName{"memory_budget"},
         FieldName{"offload"}, engine.offload);
  return placement_for("none");
}

MemoryBudget parse_memory_budget(std::string_view text, std::string_view field) {
  if (text.empty()) return {};
  if (text == "auto") return {0, 1};
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  if (error == std::errc() && std::isfinite(value) && value >= 1e-3 && value < 1e9) {  // GB, MB: a kilobyte at least
    if (unit == "%" && value <= 100) return {0, value / 100};
    if (unit == "GiB" || unit == "G") return {static_cast<size_t>(value * 1024 * kMebibyte), 0};
    if (unit == "MiB" || unit == "M") return {static_cast<size_t>(value * kMebibyte), 0};
    if (unit == "GB") return {static_cast<size_t>(value * 1e9), 0};
    if (unit == "MB") return {static_cast<size_t>(value * 1e6), 0};
  }
  fail(ErrorCode::invalid_argument,
       "{} is '{}': give an amount such as 6GiB or 512MiB, a part of what is free such as 80%, or auto",
       FieldName{field}, text);
}

Fitted fit(const ModelConfig& model, const RequestShape& r, const Target& target, const ProgramOptions& options,
           const Limits& limits, const OwnTinyVae& own_tiny_vae) {
  std::optional<size_t> free;
  if (limits.budget.bytes == 0 && limits.free) free = limits.free();
  const size_t free_bytes = free ? *free : 0;
  if (!limits.budget.given()) {
    Fitted asked = lowered(model, r, target, options);
    if (!free || !limits.fit_free_memory || asked.plan.memory.peak_bytes <= free_bytes) return asked;
  }
  const size_t bytes = limits.budget.given() ? limits.budget.of(free_bytes) : free_bytes;
  std::vector<BudgetChoice> choices;
  std::optional<Fitted> fitted = first_that_fits(model, r, target, options, bytes, choices);
  if (!fitted && !options.decoder.tiny) {
    ProgramOptions last = options;
    last.decoder.tiny = own_tiny_vae();
    if (last.decoder.tiny && can_tile(model.vae, last.decoder))
      fitted = first_that_fits(model, r, target, last, bytes, choices);
  }
  if (!fitted) none_fits(choices, bytes);
  fitted->plan.choices = std::move(choices);
  fitted->chosen = true;
  return std::move(*fitted);
}

}  // namespace tempera
