// Energy that a device takes, where its driver counts it.
#pragma once

#include <optional>

namespace tempera {

class EnergyMeter {
 public:
  virtual ~EnergyMeter() = default;
  // Joules that the device (of a CPU: its packages, whoever uses them) has taken since some moment. Nothing where the
  // driver does not tell. Counters start over: between two calls lie a few minutes at most.
  virtual std::optional<double> joules() = 0;
};

}  // namespace tempera
