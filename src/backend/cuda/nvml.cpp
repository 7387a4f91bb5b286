#include "backend/cuda/nvml.h"

#include "backend/cuda/libraries.h"
#include "base/error.h"

namespace tempera::cuda {

// The four functions that are called, as nvml.h declares them; the header is not in every toolkit's installation.
struct EnergyCounter::Nvml {
  template <class F>
  F load(const char* name) const {
    return reinterpret_cast<F>(library.symbol(name));
  }
  SharedLibrary library{"libnvidia-ml.so.1", "install the driver's NVML"};
  int (*init)() = load<int (*)()>("nvmlInit_v2");
  int (*shutdown)() = load<int (*)()>("nvmlShutdown");
  int (*find)(const char*, void**) = load<int (*)(const char*, void**)>("nvmlDeviceGetHandleByPciBusId_v2");
  int (*energy)(void*,
                unsigned long long*) = load<int (*)(void*, unsigned long long*)>("nvmlDeviceGetTotalEnergyConsumption");
};

EnergyCounter::EnergyCounter(const std::string& bus_id) {
  try {
    nvml_ = std::make_unique<Nvml>();
  } catch (const Error&) {
    return;  // it is not needed to generate pictures
  }
  if (nvml_->init() != 0) {
    nvml_.reset();
  } else if (nvml_->find(bus_id.c_str(), &device_) != 0) {
    device_ = nullptr;
  }
}

EnergyCounter::~EnergyCounter() {
  if (nvml_) nvml_->shutdown();
}

std::optional<double> EnergyCounter::joules() {
  unsigned long long millijoules = 0;
  if (device_ == nullptr || nvml_->energy(device_, &millijoules) != 0) return std::nullopt;
  return static_cast<double>(millijoules) * 1e-3;
}

}  // namespace tempera::cuda
