// Which of a library's algorithms runs a problem: the first few candidates are timed once per card, library version and
// problem, and the choice is kept in a text file, so that later processes start at once and compute the same bytes.
// A line is "key <tab> candidate <tab> microseconds"; lines that are not are ignored.
#pragma once

#include <cuda_runtime_api.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace tempera::cuda {

// $XDG_CACHE_HOME/tempera/cuda-algorithms.txt, or under ~/.cache; empty where neither is set: nothing is kept.
std::filesystem::path tuning_file();

class Tuning {
 public:
  // `card` becomes part of every key.
  Tuning(std::filesystem::path file, std::string card);

  std::optional<int> known(const std::string& key) const;
  // Notes a choice, in the file too. A file that cannot be written is not an error: the next process measures again.
  void remember(const std::string& key, int candidate, double microseconds);

 private:
  std::string full(const std::string& key) const { return card_ + " " + key; }

  std::filesystem::path file_;
  std::string card_;
  std::map<std::string, int> choices_;
};

// Parses the file's text; the last line for a key counts.
std::map<std::string, int> parse_tuning(std::string_view text);

// Microseconds of one run, the best of a few after a first that warms up. run() enqueues on the stream.
double time_on_device(cudaStream_t stream, const std::function<void()>& run);

}  // namespace tempera::cuda
