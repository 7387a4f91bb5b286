#include "units.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace tempera::cli {
namespace {

// Three significant digits with the largest prefix that keeps the number at least 1.
std::string scaled(double value, double base, const std::array<std::string_view, 5>& units) {
  size_t unit = 0;
  while (value >= base && unit + 1 < units.size()) {
    value /= base;
    ++unit;
  }
  if (unit == 0) return fmt::format("{:.0f} {}", value, units[0]);
  const int decimals = value < 10 ? 2 : value < 100 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, decimals, units[unit]);
}

}  // namespace

std::string format_bytes(double bytes) {
  return scaled(bytes, 1024, {"B", "KiB", "MiB", "GiB", "TiB"});
}
std::string format_flops(double flops) {
  return scaled(flops, 1000, {"FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"});
}
std::string format_count(double count) {
  return scaled(count, 1000, {"", "k", "M", "G", "T"});
}

std::string format_milliseconds(double seconds) {
  const double value = seconds * 1e3;
  const int decimals = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : value >= 0.1 ? 3 : 4;
  return fmt::format("{:.{}f}", value, decimals);
}
std::string format_percent(double part, double whole) {
  return whole > 0 ? fmt::format("{:.1f}%", part / whole * 100) : "-";
}

}  // namespace tempera::cli
