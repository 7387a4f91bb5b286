// The choices of algorithms, as their file has them; needs no card.
#include "backend/cuda/tuning_file.h"
#include "base/error.h"
#include "tempera/bench.h"

namespace tempera {

AlgorithmChoices algorithm_choices() {
  AlgorithmChoices all{cuda::tuning_file(), {}};
  for (cuda::TuningChoice& c : cuda::read_tuning(all.file))
    all.choices.push_back({std::move(c.card), std::move(c.library), std::move(c.problem), std::move(c.name),
                           c.candidate, c.microseconds / 1e6});
  return all;
}

void forget_algorithm_choices() {
  const std::filesystem::path file = cuda::tuning_file();
  std::error_code error;
  if (!file.empty() && (std::filesystem::is_directory(file, error) || (std::filesystem::remove(file, error), error)))
    fail(ErrorCode::io, "cannot remove {}: {}", file.string(), error ? error.message() : "it is a folder");
}

}  // namespace tempera
