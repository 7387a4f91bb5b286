#include "weights/checkpoint.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace tempera {

int64_t TensorView::elements() const {
  int64_t count = 1;
  for (const int64_t dim : dims) count *= dim;
  return count;
}

std::string dims_to_string(std::span<const int64_t> dims) {
  return dims.empty() ? "scalar" : fmt::format("{}", fmt::join(dims, "x"));
}

TensorView Checkpoint::get(std::string_view name) const {
  std::optional<TensorView> view = find(name);
  if (!view)
    fail(ErrorCode::bad_file, "the tensor {} is missing: the model is incomplete or of another kind", origin(name));
  return *std::move(view);
}

std::string in_quotes(std::string_view text) {
  constexpr size_t kLongest = 200;
  std::string quoted(text.substr(0, kLongest));
  std::replace_if(
      quoted.begin(), quoted.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text.size() > kLongest ? fmt::format("'{}...'", quoted) : fmt::format("'{}'", quoted);
}

}  // namespace tempera
