// The backend as a whole: its description, and that its memory is the host's.
#include "backend/cpu/cpu.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tempera {
namespace {

TEST(CpuBackend, SaysWhatItIs) {
  const CpuFeatures features{.threads = 2, .avx2 = true, .onednn = "2.6.3"};
  EXPECT_EQ(to_string(features), "2 threads, AVX2 (oneDNN 2.6.3)");
  EXPECT_EQ(to_string(CpuFeatures{.avx2 = true, .avx512 = true, .onednn = "3.7.0"}),
            "1 thread, AVX-512 (oneDNN 3.7.0)");
  EXPECT_EQ(to_string(CpuFeatures{.avx2 = true, .avx512 = true, .avx512_bf16 = true, .amx = true, .onednn = "2.6.3"}),
            "1 thread, AVX-512 with bf16 and AMX (oneDNN 2.6.3)");
  EXPECT_TRUE(make_cpu_backend()->description().starts_with("CPU: "));
  EXPECT_TRUE(make_cpu_backend()->host_visible());
}

TEST(CpuBackend, CopiesBothWays) {
  const auto backend = make_cpu_backend();
  const auto queue = backend->make_queue();
  const auto buffer = backend->allocate(3);
  const std::byte from[3] = {std::byte{1}, std::byte{2}, std::byte{3}};
  std::byte to[3] = {};
  backend->upload(*queue, buffer->data(), from);
  backend->download(*queue, to, buffer->data());
  queue->synchronize();
  EXPECT_TRUE(std::equal(from, from + 3, to));
}

}  // namespace
}  // namespace tempera
