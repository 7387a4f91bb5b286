// The choices of algorithms as a table and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench_output.h"

namespace tempera::cli {
namespace {

// One card and library. The column of names is as wide as the longest one.
std::string group_table(std::vector<AlgorithmChoice> group) {
  std::ranges::stable_sort(group, std::ranges::greater(), &AlgorithmChoice::seconds);
  size_t width = std::string_view("algorithm").size();
  for (const AlgorithmChoice& c : group) width = std::max(width, c.algorithm.size());
  std::string text = fmt::format("\n{}, {}\n{:>12}  {:<{}}  problem\n", group[0].card, group[0].library, "microseconds",
                                 "algorithm", width);
  for (const AlgorithmChoice& c : group)
    text += fmt::format("{:>12.1f}  {:<{}}  {}\n", c.seconds * 1e6, c.algorithm, width, c.problem);
  return text;
}

}  // namespace

std::string algorithms_table(const AlgorithmChoices& all) {
  if (all.file.empty()) return "no choices are kept: neither XDG_CACHE_HOME nor HOME is set\n";
  if (all.choices.empty())
    return fmt::format("{} holds no choices: a card makes them when it first runs a problem\n", all.file.string());
  std::string text = all.file.string() + "\n";
  for (auto from = all.choices.begin(); from != all.choices.end();) {
    const auto to = std::find_if(from, all.choices.end(), [&from](const AlgorithmChoice& c) {
      return c.card != from->card || c.library != from->library;
    });
    text += group_table({from, to});
    from = to;
  }
  return text;
}

nlohmann::ordered_json algorithms_json(const AlgorithmChoices& all) {
  nlohmann::ordered_json choices = nlohmann::ordered_json::array();
  for (const AlgorithmChoice& c : all.choices)
    choices.push_back({{"card", c.card},
                       {"library", c.library},
                       {"problem", c.problem},
                       {"algorithm", c.algorithm},
                       {"candidate", c.candidate},
                       {"seconds", c.seconds}});
  return {{"file", all.file.string()}, {"choices", choices}};
}

}  // namespace tempera::cli
