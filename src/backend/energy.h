// Energy that a device uses, if its driver counts it.
#pragma once

#include <optional>

namespace tempera {

class EnergyMeter {
 public:
  virtual ~EnergyMeter() = default;
  // Reads the energy counter of the device, in joules; of a CPU, the sum over its packages. Call it twice and subtract,
  // at most a few minutes apart, because counters wrap. Empty if the driver has no counter.
  virtual std::optional<double> joules() = 0;
};

}  // namespace tempera
