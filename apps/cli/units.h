// Numbers for people: bytes, arithmetic, seconds.
#pragma once

#include <string>

namespace tempera::cli {

std::string format_bytes(double bytes);  // "6.46 GiB", "512 B"
std::string format_flops(double flops);  // "5.98 TFLOP"
std::string format_count(double count);  // "2.57 G", "3.4 k"

std::string format_milliseconds(double seconds);        // "1234", "12.3", "0.0123": three significant digits
std::string format_percent(double part, double whole);  // "12.3%"; "-" if there is no whole

}  // namespace tempera::cli
