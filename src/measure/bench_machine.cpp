// The data of a table of measurements other than its rows: the machine with its peak rates, and the difference between
// pictures.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "base/parallel.h"
#include "measure/bench_bound.h"
#include "pipeline/devices.h"

namespace tempera {

BenchMachine bench_machine(const EngineOptions& engine, const std::vector<std::string>& dtypes,
                           const std::function<bool()>& cancelled) {
  const CheckCancelled check = [&] {
    if (cancelled && cancelled()) fail(ErrorCode::cancelled, "stopped");
  };
  const ThreadScope scope(engine_threads(engine));
  EngineOptions device_only;
  device_only.device = engine.device;
  const std::unique_ptr<Backend> backend = open_device(choose_device(device_only).device);
  std::vector<DType> types;
  for (const std::string& text : dtypes) {
    const std::optional<DType> type = parse_dtype(text);
    if (!type) fail(ErrorCode::invalid_argument, "'{}' is no dtype: give fp32, bf16 or fp16", text);
    types.push_back(*type);
  }
  BenchDevice device(*backend, true);
  return {backend->description(), thread_count(), backend->total_memory(), backend->libraries(),
          measure_ceilings(device, types, check)};
}

double PictureDifference::psnr() const {
  return 10 * std::log10(255.0 * 255.0 / squares);
}

PictureDifference picture_difference(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  if (a.size() != b.size() || a.empty())
    fail(ErrorCode::invalid_argument, "pictures of {} and {} values cannot be compared", a.size(), b.size());
  PictureDifference difference;
  double sum = 0, squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const int d = std::abs(int{a[i]} - int{b[i]});
    difference.max = std::max(difference.max, d);
    sum += d;
    squares += d * d;
  }
  difference.mean = sum / static_cast<double>(a.size());
  difference.squares = squares / static_cast<double>(a.size());
  return difference;
}

}  // namespace tempera
