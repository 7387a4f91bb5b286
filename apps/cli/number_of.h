// Whole numbers of options that are not fields of a request.
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "tempera/error.h"

namespace tempera::cli {

// Throws Error(invalid_argument): "--runs is '0': give a number from 1 to 1000".
template <typename T>
T number_of(std::string_view flag, std::string_view text, T least, T most) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{} is '{}': give a number from {} to {}", flag, text, least, most));
  return value;
}

}  // namespace tempera::cli
