// Which of several algorithms runs a problem: the first few candidates are timed once per card, library version and
// problem, and the choice is kept in a file (tuning_file.h), so that later processes start at once and compute the same
// bytes.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/enqueue.h"
#include "backend/cuda/tuning_file.h"

namespace tempera::cuda {

// What is to be decided, on one card.
struct TuningKey {
  std::string library;  // with its version: "cuBLASLt 13.2.0"; where only our own kernels compete, "tempera"
  std::string problem;
};

class Tuning {
 public:
  // A file that cannot be read or written is not an error: this process measures again.
  Tuning(std::filesystem::path file, std::string card);

  // Null where nothing is known; valid until the next remember().
  const TuningChoice* known(const TuningKey& key) const;
  // Notes a choice, in the file too.
  void remember(const TuningKey& key, int candidate, const std::string& name, double microseconds);

 private:
  std::filesystem::path file_;
  std::string card_;
  std::map<std::pair<std::string, std::string>, TuningChoice> choices_;  // of this card, by library and problem
};

// One way to run something.
struct Candidate {
  std::string name;  // for people, "cuBLASLt heuristic 2"; with its number it means the same in every process
  std::function<Enqueue()>
      bind;  // asked when it is to be timed or known to be the fastest; nothing where it cannot run
};

// The fastest of the first `most` that can run, by `key` or by timing them on `stream`; nothing where none can. What
// they write is overwritten. A choice counts as known while the candidate of that number has that name.
Enqueue fastest(Tuning& tuning, const TuningKey& key, const std::vector<Candidate>& candidates, cudaStream_t stream,
                int most = std::numeric_limits<int>::max());

}  // namespace tempera::cuda
