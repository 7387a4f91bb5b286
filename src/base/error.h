// Throwing with a formatted message: fail(ErrorCode::bad_file, "'{}' is truncated: ...", path).
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "tempera/error.h"

namespace tempera {

template <class... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

// For our own mistakes only: never reachable by input.
#define TEMPERA_ASSERT(condition)                                                                                     \
  do {                                                                                                                \
    if (!(condition))                                                                                                 \
      ::tempera::fail(::tempera::ErrorCode::internal, "internal error: {} at {}:{}", #condition, __FILE__, __LINE__); \
  } while (false)

}  // namespace tempera
