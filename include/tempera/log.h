// Where the library's warnings go: it never prints. The sink is a value handed down, not a global.
#pragma once

#include <functional>
#include <string_view>

namespace tempera {

enum class LogLevel { debug, info, warning };
using LogSink = std::function<void(LogLevel, std::string_view)>;

}  // namespace tempera
