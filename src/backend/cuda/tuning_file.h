// The text file with the fastest algorithms, by card, library version and problem. A line is one choice, with six
// fields between tabs:
//   card, library with its version, problem, number of the candidate, its name, microseconds
// The last line about a problem is valid. Lines of any other form are ignored, also those of earlier versions (three
// fields), whose problems are measured again. Needs no card and no CUDA.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tempera::cuda {

struct TuningChoice {
  std::string card;     // "NVIDIA H100 80GB HBM3"
  std::string library;  // "cuDNN 9.19.0": another version measures again
  std::string problem;
  int candidate = 0;        // its index among the candidates
  std::string name;         // "cuDNN engine 38"
  double microseconds = 0;  // of one run, when it was chosen

  bool same_problem(const TuningChoice& other) const {
    return card == other.card && library == other.library && problem == other.problem;
  }
};

// $XDG_CACHE_HOME/tempera/cuda-algorithms.txt, or under ~/.cache. Empty if neither is set: nothing is stored.
std::filesystem::path tuning_file();

// The choices in the text of a file, one for each problem, sorted by card, library and problem.
std::vector<TuningChoice> parse_tuning(std::string_view text);

// The line of a choice, with its line break.
std::string tuning_line(const TuningChoice& choice);

// The choices of the file; none if there is no file. Throws Error(io) if it cannot be read.
std::vector<TuningChoice> read_tuning(const std::filesystem::path& file);

// The file, read and extended by several engines and processes at a time. A file that cannot be read or written is
// not an error: nothing is read from it then.
class TuningFile {
 public:
  explicit TuningFile(std::filesystem::path path) : path_(std::move(path)) {}

  // The choices in the lines that were added since the last call, the last one for each problem.
  std::vector<TuningChoice> read_new();
  // Calls `choose` while no other engine or process can add a line, then adds the line of its result, if there is one.
  // `choose` may call read_new().
  void add(const std::function<std::optional<TuningChoice>()>& choose);

 private:
  std::filesystem::path path_;
  off_t read_ = 0;   // bytes, up to the end of a line
  ino_t inode_ = 0;  // of the file that was read: another one is read from its start
};

}  // namespace tempera::cuda
