// Which of a library's algorithms runs a problem: the first few candidates are timed once per card, library version and
// problem, and the choice is kept in a text file, so that later processes start at once and compute the same bytes.
// A line is "key <tab> candidate <tab> microseconds"; lines that are not are ignored.
#pragma once

#include <cuda_runtime_api.h>

#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/cuda/enqueue.h"

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

// One way to run something: asked when it is to be timed or known to be the fastest; nothing where it cannot run.
using Candidate = std::function<Enqueue()>;

// The fastest of the first `most` that can run, by `key` or by timing them on `stream`; nothing where none can. What
// they write is overwritten. The order of the candidates is part of the key's meaning.
Enqueue fastest(Tuning& tuning, const std::string& key, const std::vector<Candidate>& candidates, cudaStream_t stream,
                int most = std::numeric_limits<int>::max());

}  // namespace tempera::cuda
