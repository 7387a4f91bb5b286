// The file of chosen algorithms: any text can be read, and the result, written and read again, is the same.
#include <cstdint>
#include <cstdlib>

#include "backend/cuda/tuning_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tempera::cuda;
  std::string lines;
  const std::vector<TuningChoice> choices = parse_tuning({reinterpret_cast<const char*>(data), size});
  for (const TuningChoice& choice : choices) lines += tuning_line(choice);
  const std::vector<TuningChoice> again = parse_tuning(lines);
  if (again.size() != choices.size()) std::abort();
  for (size_t i = 0; i < again.size(); ++i)
    if (!again[i].same_problem(choices[i]) || again[i].candidate != choices[i].candidate ||
        again[i].name != choices[i].name)
      std::abort();
  return 0;
}
