// Any text as a scheduler_config.json: it is refused with an Error, or gives finite schedules.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sampling/config.h"
#include "sampling/schedule.h"
#include "tempera/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const tempera::SchedulerConfig config =
        tempera::parse_scheduler_config({reinterpret_cast<const char*>(data), size});
    for (const tempera::ScheduleOptions options :
         {tempera::ScheduleOptions{.steps = 1}, {.steps = 3}, {.steps = 3, .eta = 0.5}, {.steps = 16, .first = 2}}) {
      try {
        const tempera::Schedule schedule = tempera::make_schedule(config, options);
        for (const tempera::Evaluation& e : schedule.evaluations) {
          if (!std::isfinite(e.timestep) || !std::isfinite(e.input_scale)) std::abort();
          for (const double c : e.update) {
            if (!std::isfinite(c)) std::abort();
          }
        }
      } catch (const tempera::Error&) {
      }
    }
  } catch (const tempera::Error&) {
  }
  return 0;
}
