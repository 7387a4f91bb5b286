#include "pipeline/placement.h"

#include <algorithm>

#include "program/residency.h"

namespace tempera {
namespace {

// What parameters travel through: four copies ahead of the steps, each long enough for the full rate of a bus.
constexpr size_t kStream = size_t{256} << 20;

}  // namespace

Placement placement_for(std::string_view offload) {
  using enum Residency;
  if (offload == "none") return {resident, resident, resident};
  if (offload == "model") return {in_turn, in_turn, in_turn};
  if (offload == "sequential") return {streamed, streamed, streamed};
  return {};
}

Program place(Program program, Residency residency, const Placement& placement, size_t stay, size_t alignment) {
  if (residency == Residency::resident || program.memory.weights == 0) return program;
  // With all of it there is a place for everything.
  const size_t all = 2 * program.memory.weights;
  StreamOptions options{all, 0, alignment};
  if (residency == Residency::streamed) {
    const size_t ahead = std::max(kStream, 2 * least_stream(program, alignment));
    options.stream = placement.tight ? 0 : std::min(all, ahead);
    options.resident = stay;
  }
  return stream_weights(std::move(program), options);
}

}  // namespace tempera
