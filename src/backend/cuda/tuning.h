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

// The problem of a choice, on one card.
struct TuningKey {
  std::string library;  // with its version: "cuBLASLt 13.2.0"; "tempera" if all candidates are its own kernels
  std::string problem;
};

// Of one engine. Choices that other engines and processes add to the file count from then on, so that all of them
// compute the same bytes.
class Tuning {
 public:
  // A file that cannot be read or written is not an error. This process then measures again.
  Tuning(std::filesystem::path file, std::string card);

  // Null if nothing is known, also not in the file. Valid until the next call.
  const TuningChoice* known(const TuningKey& key);
  // Stores a choice, also in the file, if no `usable` one was added to it meanwhile. Returns the valid choice, until
  // the next call.
  const TuningChoice& settle(const TuningKey& key, int candidate, const std::string& name, double microseconds,
                             const std::function<bool(const TuningChoice&)>& usable);

 private:
  const TuningChoice* find(const TuningKey& key) const;
  void read_new();

  TuningFile file_;
  std::string card_;
  std::map<std::pair<std::string, std::string>, TuningChoice> choices_;  // of this card, by library and problem
};

// One way to run something.
struct Candidate {
  std::string name;  // for people, "cuBLASLt heuristic 2"; name and number together have the same meaning in every
                     // process
  std::function<Enqueue()>
      bind;  // asked when it is to be timed or known to be the fastest; nothing where it cannot run
};

// The fastest of the first `most` candidates that can run: the known one of `key`, or the result of timing on `stream`,
// which overwrites outputs. Nothing if none can run. A choice is known if the candidate of that number still has that
// name.
Enqueue fastest(Tuning& tuning, const TuningKey& key, const std::vector<Candidate>& candidates, cudaStream_t stream,
                int most = std::numeric_limits<int>::max());

}  // namespace tempera::cuda
