#include "measure/bench_bound.h"

#include <algorithm>
#include <cmath>

#include "ir/builder.h"
#include "runtime/bench_steps.h"

namespace tempera {
namespace {

constexpr int kCeilingRepeats = 5;

// The least seconds of a program's one step, which is no shorter than what it can do.
double least_seconds(BenchDevice& device, const Program& program, const CheckCancelled& check) {
  BoundProgram bound(program, device, check);
  const BenchDevice::Series series = device.series(*bound, 0);
  double least = device.time(series);
  for (int i = 1; i < kCeilingRepeats; ++i) {
    if (check) check();
    least = std::min(least, device.time(series));
  }
  return least;
}

std::string kernel_name(BenchDevice& device, const Program& program) {
  return std::string(device.backend().kernels()[program.steps[0].kernel].info.name);
}

Ceilings::Arithmetic arithmetic_ceiling(BenchDevice& device, DType dtype, const CheckCancelled& check) {
  constexpr int64_t kLeast = 1024, kMost = 8192;
  constexpr double kLongEnough = 0.1;  // seconds: a larger product is not faster then
  Ceilings::Arithmetic best;
  for (int64_t n = kLeast; n <= kMost; n *= 2) {
    Builder b("product", dtype);
    const Tensor x = b.input("x", dtype, {n, n});
    b.output("y", b.linear(x, Scope("w"), {.out = n, .bias = false}));
    const Program program = lower(std::move(b).finish(), device.backend().target());
    const double seconds = least_seconds(device, program, check);
    const double rate = program.flops_step / seconds;
    if (rate > best.flops_per_second) best = {std::string(name(dtype)), kernel_name(device, program), n, rate};
    if (seconds > kLongEnough) break;
  }
  return best;
}

Ceilings::Memory memory_ceiling(BenchDevice& device, const CheckCancelled& check) {
  constexpr int64_t kRows = 32768, kColumns = 1024;  // 128 MiB each: more than caches hold
  Builder b("sum", DType::f32);
  const Tensor x = b.input("x", DType::f32, {kRows, kColumns}), y = b.input("y", DType::f32, {kRows, kColumns});
  const size_t bytes = 3 * x.desc().bytes();
  b.output("sum", b.add(x, y));
  const Program program = lower(std::move(b).finish(), device.backend().target());
  return {kernel_name(device, program), bytes, static_cast<double>(bytes) / least_seconds(device, program, check)};
}

}  // namespace

std::function<void()> BenchDevice::prepared(std::function<void()> enqueue) {
  if (!record_) return enqueue;
  std::shared_ptr<Recording> recording = backend_.record(*queue_, enqueue);
  if (!recording) return enqueue;
  return [this, recording] { recording->replay(*queue_); };
}

BenchDevice::Series BenchDevice::series(Executable& executable, size_t step) {
  constexpr double kLongEnough = 5e-3;  // seconds: the clock's resolution, a launch and an interrupt are negligible
  constexpr double kMostTimes = 32;
  const std::function<void()> once = [&executable, step] { executable.run_step(step); };
  once();  // warms up
  const double seconds = std::max(time(once), 1e-9);
  const int times = static_cast<int>(std::clamp(std::ceil(kLongEnough / seconds), 1.0, kMostTimes));
  return {prepared([once, times] {
            for (int i = 0; i < times; ++i) once();
          }),
          times};
}

double BenchDevice::time(const std::function<void()>& launch) {
  stopwatch_->mark(*queue_, 0);
  launch();
  stopwatch_->mark(*queue_, 1);
  queue_->synchronize();
  return stopwatch_->seconds(0, 1);
}

Ceilings measure_ceilings(BenchDevice& device, const std::vector<DType>& dtypes, const CheckCancelled& check) {
  Ceilings ceilings;
  for (const DType dtype : dtypes) ceilings.arithmetic.push_back(arithmetic_ceiling(device, dtype, check));
  ceilings.memory = memory_ceiling(device, check);
  return ceilings;
}

}  // namespace tempera
