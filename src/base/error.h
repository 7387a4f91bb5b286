// Throwing with a formatted message: fail(ErrorCode::bad_file, "'{}' is truncated: ...", path). Messages name fields of
// a request by FieldName arguments. Their positions are marked, so that a front end can replace them (tempera/error.h).
// A text of the user never becomes a mark (make_message()).
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "tempera/error.h"

namespace tempera {

// An argument of messages: fail(code, "{} is {}: give ...", FieldName{"width"}, width). There must be other text
// between two of them. `name` is as in request_fields(), or a member of another structure of options.
struct FieldName {
  std::string_view name;
};

namespace message_parts {

// The value that is formatted for an argument.
template <class T>
const T& plain(const T& value) {
  return value;
}
inline std::string_view plain(const FieldName& field) {
  return field.name;
}
inline const std::string& plain(const Message& message) {
  return message.text;
}

// The same, with every field's name replaced by as many other bytes.
template <class T>
const T& masked(const T& value) {
  return value;
}
std::string masked(const FieldName& field);
std::string masked(const Message& message);

// Marks the bytes that differ.
Message compare(std::string text, std::string_view masked);

template <class T>
using Plain = std::remove_cvref_t<decltype(plain(std::declval<const T&>()))>;

}  // namespace message_parts

// Formats twice, the second time with the names of fields masked. The positions where the results differ are the names.
// A Message as an argument keeps its marks.
template <class... Args>
Message make_message(fmt::format_string<message_parts::Plain<Args>...> format, const Args&... args) {
  const fmt::string_view text = format;
  const auto formatted = [text](const auto&... a) { return fmt::vformat(text, fmt::make_format_args(a...)); };
  return message_parts::compare(formatted(message_parts::plain(args)...), formatted(message_parts::masked(args)...));
}

template <class... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<message_parts::Plain<Args>...> format, const Args&... args) {
  throw Error(code, make_message(format, args...));
}

// For errors of the project itself. No input can reach it.
#define TEMPERA_ASSERT(condition)                                                                                     \
  do {                                                                                                                \
    if (!(condition))                                                                                                 \
      ::tempera::fail(::tempera::ErrorCode::internal, "internal error: {} at {}:{}", #condition, __FILE__, __LINE__); \
  } while (false)

}  // namespace tempera
