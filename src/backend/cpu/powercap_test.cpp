#include "backend/cpu/powercap.h"

#include <gtest/gtest.h>

#include <fstream>

namespace tempera {
namespace {

namespace fs = std::filesystem;

class Powercap : public testing::Test {
 protected:
  Powercap() { fs::remove_all(folder_); }
  ~Powercap() override { fs::remove_all(folder_); }

  void write(const std::string& zone, const std::string& file, const std::string& text) {
    fs::create_directories(folder_ / zone);
    std::ofstream(folder_ / zone / file) << text << "\n";
  }
  void zone(const std::string& zone, const std::string& name, const std::string& microjoules) {
    write(zone, "name", name);
    write(zone, "energy_uj", microjoules);
    write(zone, "max_energy_range_uj", "1000000");
  }

  fs::path folder_ = fs::path(testing::TempDir()) / "powercap_test";
};

TEST_F(Powercap, AddsUpPackagesAndNothingElse) {
  zone("intel-rapl:0", "package-0", "100");
  zone("intel-rapl:1", "package-1", "999000");
  zone("intel-rapl:0:0", "core", "5");
  zone("intel-rapl:2", "psys", "5");
  PackageEnergy energy(folder_);
  EXPECT_EQ(energy.joules(), 0);
  write("intel-rapl:0", "energy_uj", "500100");
  write("intel-rapl:1", "energy_uj", "1000");  // wrapped: 1000 to the end, 1000 since
  write("intel-rapl:0:0", "energy_uj", "900000");
  write("intel-rapl:2", "energy_uj", "900000");
  EXPECT_NEAR(energy.joules().value(), 0.502, 1e-9);
  EXPECT_NEAR(energy.joules().value(), 0.502, 1e-9);
}

TEST_F(Powercap, TellsNothingWhereNothingCanBeRead) {
  EXPECT_EQ(PackageEnergy(folder_).joules(), std::nullopt);
  write("intel-rapl:0", "name", "package-0");
  EXPECT_EQ(PackageEnergy(folder_).joules(), std::nullopt);
}

}  // namespace
}  // namespace tempera
