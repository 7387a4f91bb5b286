// attention/flash and attention/naive at the shapes of SDXL: GFLOP/s, and the share of the FMA peak, which is measured
// alternately with them. Command: attention_bench [--benchmark_filter=self] [--threads N]. A run on one thread is
// measured by processor time.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <vector>

#include "backend/cpu/kernels/attention.h"
#include "backend/cpu/kernels/bench.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/host_backend.h"
#include "base/parallel.h"

namespace tempera {
namespace {

struct Case {
  const char* name;
  int64_t pictures, heads, queries, keys, dim;
};

constexpr Case kCases[] = {
    {"self 1024px 64x64", 1, 10, 4096, 4096, 64}, {"self 1024px 32x32", 1, 20, 1024, 1024, 64},
    {"self 512px 32x32", 1, 10, 1024, 1024, 64},  {"self 512px 16x16", 1, 20, 256, 256, 64},
    {"cross 1024px 64x64", 1, 10, 4096, 77, 64},  {"cross 1024px 32x32", 1, 20, 1024, 77, 64},
    {"vae 512px 64x64", 1, 1, 4096, 4096, 512},   {"vae 1024px 128x128", 1, 1, 16384, 16384, 512},
    {"text bigG causal 77", 1, 20, 77, 77, 64},   {"one head 1024", 1, 1, 1024, 1024, 64},
};

void run(benchmark::State& state, const Kernel& kernel, const Case& c, DType dtype) {
  const TensorDesc q{dtype, Shape{c.pictures, c.queries, c.heads * c.dim}};
  const TensorDesc kv{dtype, Shape{c.pictures, c.keys, c.heads * c.dim}};
  const bool causal = std::string_view(c.name).find("causal") != std::string_view::npos;
  const Problem problem{Attention{static_cast<int>(c.heads), 0.125f, causal}, {q, kv, kv}, q};
  const auto q_bytes = bench::random_tensor(q), k_bytes = bench::random_tensor(kv), v_bytes = bench::random_tensor(kv);
  bench::Bytes out(q.bytes()), workspace(kernel.info.workspace(problem));
  const Launch launch =
      kernel.bind(problem, {{q_bytes->data(), k_bytes->data(), v_bytes->data()}, out.data(), workspace.data()});
  HostQueue queue;
  launch(queue);

  const double flops = 4.0 * static_cast<double>(c.pictures * c.heads * c.queries * c.keys * c.dim);
  std::vector<double> speeds, peaks, shares;
  for (auto _ : state) {
    peaks.push_back(bench::measure_peak(dtype == DType::bf16 ? bench::PeakKind::bf16 : bench::PeakKind::f32, 1));
    const double seconds = bench::time([&] { launch(queue); });
    state.SetIterationTime(seconds);
    speeds.push_back(flops / seconds * 1e-9);
    shares.push_back(100 * speeds.back() / peaks.back());
  }
  state.counters["GFLOP/s"] = bench::median(speeds);
  state.counters["peak"] = bench::median(peaks);
  state.counters["best"] = *std::max_element(speeds.begin(), speeds.end());
  state.counters["%peak"] = bench::median(shares);
  state.counters["workspace_MB"] = static_cast<double>(kernel.info.workspace(problem)) * 1e-6;
}

}  // namespace
}  // namespace tempera

int main(int argc, char** argv) {
  using namespace tempera;
  static std::vector<Kernel> kernels;
  add_attention_kernels(kernels);
  for (const Kernel& kernel : kernels)
    for (const DType dtype : {DType::f32, DType::bf16})
      for (const Case& c : kCases) {
        const std::string label = std::string(kernel.info.name) + "/" + std::string(name(dtype)) + "/" + c.name;
        benchmark::RegisterBenchmark(label.c_str(),
                                     [&kernel, &c, dtype](benchmark::State& state) { run(state, kernel, c, dtype); })
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond)
            ->MinTime(0.5);
      }
  const ThreadScope scope(bench::threads_from(argc, argv));
  benchmark::Initialize(&argc, argv);
  benchmark::AddCustomContext("threads", std::to_string(thread_count()));
  benchmark::AddCustomContext("f32 kernels", flash_isa_f32().name);
  benchmark::AddCustomContext("bf16 kernels", flash_isa_pairs().name);
  benchmark::AddCustomContext("f32 peak", bench::peak_name(bench::PeakKind::f32));
  benchmark::AddCustomContext("bf16 peak", bench::peak_name(bench::PeakKind::bf16));
  benchmark::RunSpecifiedBenchmarks();
}
