// The card's energy counter: NVML comes with the driver and is opened at run time. A machine without it, or a card
// without the counter, tells nothing.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backend/energy.h"

namespace tempera::cuda {

class EnergyCounter final : public EnergyMeter {
 public:
  // bus_id: the card's place on the PCI bus as the CUDA runtime writes it, "0000:3B:00.0".
  explicit EnergyCounter(const std::string& bus_id);
  ~EnergyCounter() override;
  EnergyCounter(const EnergyCounter&) = delete;
  EnergyCounter& operator=(const EnergyCounter&) = delete;

  // Joules since the driver was loaded; nothing where it does not tell. The counter is renewed some ten times a second.
  std::optional<double> joules() override;

 private:
  struct Nvml;
  std::unique_ptr<Nvml> nvml_;
  void* device_ = nullptr;
};

}  // namespace tempera::cuda
