// Energy of the processor's packages from Linux (powercap, "intel-rapl", which includes AMD's processors). Often only
// root can read it. Most virtual machines do not have it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "backend/energy.h"

namespace tempera {

class PackageEnergy final : public EnergyMeter {
 public:
  // Uses the packages in the folder `powercap`.
  explicit PackageEnergy(const std::filesystem::path& powercap = "/sys/class/powercap");

  // Joules of all packages since the first call. Nothing if there is no package or one cannot be read. If a counter is
  // smaller than in the last call, it has wrapped once.
  std::optional<double> joules() override;

 private:
  struct Package {
    std::filesystem::path counter;  // a file of microjoules
    uint64_t range = 0;             // its maximum, 0 if unknown
    std::optional<uint64_t> last = {};
  };
  std::vector<Package> packages_;
  double microjoules_ = 0;
};

}  // namespace tempera
