#include "pipeline/placement.h"

#include <algorithm>

#include "program/residency.h"

namespace tempera {
namespace {

// The space for streaming: four copies ahead of the steps, each long enough for the full rate of a bus.
constexpr size_t kStream = size_t{256} << 20;

}  // namespace

Placement placement_for(std::string_view offload) {
  Placement placement;
  if (offload == "none") placement.residency.fill(Residency::resident);
  if (offload == "model") placement.residency.fill(Residency::in_turn);
  if (offload == "sequential") placement.residency.fill(Residency::streamed);
  return placement;
}

Program place(Program program, Role role, const Placement& placement, size_t alignment) {
  const Residency residency = placement.of(role);
  if (residency == Residency::resident || program.memory.weights == 0) return program;
  // With all of it there is a place for everything.
  const size_t all = 2 * program.memory.weights;
  StreamOptions options{all, 0, alignment};
  if (residency == Residency::streamed) {
    const size_t ahead = std::max(kStream, 2 * least_stream(program, alignment));
    options.stream = placement.tight ? 0 : std::min(all, ahead);
    options.resident = role == Role::denoise ? placement.stay : 0;
  }
  return stream_weights(std::move(program), options);
}

}  // namespace tempera
