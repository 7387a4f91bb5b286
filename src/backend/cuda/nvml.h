// The card's energy counter. NVML is part of the driver and is opened at run time. On a machine without it, or on a
// card without the counter, there is no value.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backend/energy.h"

namespace tempera::cuda {

class EnergyCounter final : public EnergyMeter {
 public:
  // bus_id: the card's address on the PCI bus in the form of the CUDA runtime, "0000:3B:00.0".
  explicit EnergyCounter(const std::string& bus_id);
  ~EnergyCounter() override;
  EnergyCounter(const EnergyCounter&) = delete;
  EnergyCounter& operator=(const EnergyCounter&) = delete;

  // Joules since the driver was loaded; nothing without a counter. The counter is updated about ten times a second.
  std::optional<double> joules() override;

 private:
  struct Nvml;
  std::unique_ptr<Nvml> nvml_;
  void* device_ = nullptr;
};

}  // namespace tempera::cuda
