#include "waiting.h"

#include <unistd.h>

#include <cstdlib>

namespace tempera::cli {

void limit_spinning(char** argv) {
  // Iterations of a loop with a pause instruction: 20 to 90 us.
  constexpr const char *kVariable = "GOMP_SPINCOUNT", *kTurns = "2000";
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv(kVariable) != nullptr) return;
  if (setenv(kVariable, kTurns, 1) == 0) execv("/proc/self/exe", argv);
}

}  // namespace tempera::cli
