// GFLOP/s of each kernel on one core, at the tiles in which adapters are read (rows x 128 columns).
// Command: adapter_product_bench
#include <benchmark/benchmark.h>

#include <string>

#include "adapters/product.h"

namespace tempera {
namespace {

void run(benchmark::State& state, const ProductKernel& kernel, size_t rows, size_t rank) {
  constexpr size_t kColumns = 128;
  const std::vector<float> left(rows * rank, 0.5f);
  const Panels right(std::vector<float>(rank * kColumns, 0.25f), rank, kColumns);
  std::vector<float> values(rows * kColumns);
  for ([[maybe_unused]] auto _ : state) {
    for (size_t c = 0; c < kColumns; c += Panels::kWidth)
      kernel.run(left.data(), rank, rows, right.panel(c / Panels::kWidth), rank, 1e-9f, values.data() + c, kColumns);
    benchmark::DoNotOptimize(values.data());
    benchmark::ClobberMemory();
  }
  const double operations = 2.0 * static_cast<double>(rows * rank * kColumns);
  state.counters["GFLOP/s"] = benchmark::Counter(operations * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace
}  // namespace tempera

int main(int argc, char** argv) {
  for (const auto& kernel : tempera::product_kernels())
    for (const size_t rank : {4, 16, 64, 128})
      for (const size_t rows : {1, 4, 16, 64}) {
        const std::string name =
            std::string(kernel.name) + " rank " + std::to_string(rank) + " rows " + std::to_string(rows);
        benchmark::RegisterBenchmark(name.c_str(), tempera::run, kernel, rows, rank);
      }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
