// Receives the library's warnings. The library never prints. The sink is an argument, not a global.
#pragma once

#include <functional>
#include <string_view>

namespace tempera {

enum class LogLevel { debug, info, warning };
using LogSink = std::function<void(LogLevel, std::string_view)>;

}  // namespace tempera
