#include "base/nearest.h"

#include <algorithm>
#include <utility>

#include "tempera/nearest.h"

namespace tempera {
namespace {

constexpr size_t kLongest = 64;  // characters; bounds the work for arbitrary input

// Optimal string alignment distance, by rows.
size_t edits(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last, last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before_last = last;
    last = row;
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest(std::string_view typed, const std::vector<std::string>& names) {
  if (typed.size() > kLongest) return "";
  std::string best;
  size_t fewest = std::max<size_t>(1, typed.size() / 3) + 1;
  for (const std::string& name : names) {
    const size_t count = edits(typed, name);
    if (count < fewest) {
      fewest = count;
      best = name;
    }
  }
  return best;
}

std::vector<std::string_view> nearest_names(std::string_view typed, std::span<const std::string_view> names,
                                            size_t count) {
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
