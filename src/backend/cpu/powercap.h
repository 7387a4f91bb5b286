// Energy of the processor's packages as Linux counts it (powercap, "intel-rapl": AMD's processors too). Often readable
// by root alone, and absent from most virtual machines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "backend/energy.h"

namespace tempera {

class PackageEnergy final : public EnergyMeter {
 public:
  // Takes the packages found in `powercap`.
  explicit PackageEnergy(const std::filesystem::path& powercap = "/sys/class/powercap");

  // Joules of all packages since the first call; nothing where there is none or one cannot be read. A counter that
  // started over since the last call is taken to have done so once.
  std::optional<double> joules() override;

 private:
  struct Package {
    std::filesystem::path counter;  // a file of microjoules
    uint64_t range = 0;             // the most it holds, 0 where that is not known
    std::optional<uint64_t> last = {};
  };
  std::vector<Package> packages_;
  double microjoules_ = 0;
};

}  // namespace tempera
