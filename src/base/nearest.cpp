#include "base/nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace tempera {
namespace {

// Levenshtein's distance, by rows.
size_t edits(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j + 1] + 1, row[j] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string_view> nearest_names(std::string_view typed, std::span<const std::string_view> names,
                                            size_t count) {
  constexpr size_t kLongest = 64;  // bounds the work for arbitrary input
  typed = typed.substr(0, kLongest);
  std::vector<std::pair<size_t, std::string_view>> by_distance;
  for (const std::string_view name : names) by_distance.emplace_back(edits(typed, name), name);
  std::stable_sort(by_distance.begin(), by_distance.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string_view> nearest;
  for (size_t i = 0; i < std::min(count, by_distance.size()); ++i) nearest.push_back(by_distance[i].second);
  return nearest;
}

}  // namespace tempera
