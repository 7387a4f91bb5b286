#include "backend/cpu/powercap.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace tempera {
namespace fs = std::filesystem;

namespace {

template <class T>
std::optional<T> read_value(const fs::path& path) {
  std::ifstream file(path);
  T value{};
  if (!(file >> value)) return std::nullopt;
  return value;
}

}  // namespace

PackageEnergy::PackageEnergy(const fs::path& powercap) {
  std::error_code error;
  for (fs::directory_iterator it(powercap, error), end; !error && it != end; it.increment(error)) {
    // Parts of a package have zones of their own ("core", "dram"), and "psys" is the whole machine.
    const std::string zone = read_value<std::string>(it->path() / "name").value_or("");
    if (!zone.starts_with("package")) continue;
    packages_.push_back(
        {it->path() / "energy_uj", read_value<uint64_t>(it->path() / "max_energy_range_uj").value_or(0)});
  }
}

std::optional<double> PackageEnergy::joules() {
  if (packages_.empty()) return std::nullopt;
  for (Package& package : packages_) {
    const std::optional<uint64_t> now = read_value<uint64_t>(package.counter);
    if (!now) return std::nullopt;
    const uint64_t before = package.last.value_or(*now);
    const uint64_t more = *now >= before ? *now - before : package.range - std::min(package.range, before) + *now;
    microjoules_ += static_cast<double>(more);
    package.last = now;
  }
  return microjoules_ * 1e-6;
}

}  // namespace tempera
