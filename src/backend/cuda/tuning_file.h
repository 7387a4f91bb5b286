// The text file that keeps which of several algorithms was the fastest, by card, library version and problem. A line is
// one choice, six fields between tabs:
//   card, library with its version, problem, number of the candidate, its name, microseconds
// and the last line about a problem counts. Lines of any other form are passed over, those of earlier versions (three
// fields) too: what they knew is measured again. Needs no card and no CUDA.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tempera::cuda {

struct TuningChoice {
  std::string card;     // "NVIDIA H100 80GB HBM3"
  std::string library;  // "cuDNN 9.19.0": another version decides anew
  std::string problem;
  int candidate = 0;        // its number among those that were tried, in their order
  std::string name;         // "cuDNN engine 38"
  double microseconds = 0;  // of one run, when it was chosen

  bool same_problem(const TuningChoice& other) const {
    return card == other.card && library == other.library && problem == other.problem;
  }
};

// $XDG_CACHE_HOME/tempera/cuda-algorithms.txt, or under ~/.cache; empty where neither is set: nothing is kept.
std::filesystem::path tuning_file();

// The choices of a file's text, one for each problem, sorted by card, library and problem.
std::vector<TuningChoice> parse_tuning(std::string_view text);

// The line of a choice, with its line break.
std::string tuning_line(const TuningChoice& choice);

// Of the file; none where there is none. Throws Error(io) for one that cannot be read.
std::vector<TuningChoice> read_tuning(const std::filesystem::path& file);

}  // namespace tempera::cuda
