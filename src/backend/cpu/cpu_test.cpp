// The backend as a whole: memory, description, and that asking for too much is an error and not a crash.
#include "backend/cpu/cpu.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "backend/cpu/host_buffer.h"
#include "base/error.h"

namespace tempera {
namespace {

TEST(CpuBackend, MemoryIsAlignedZeroAndWritable) {
  const auto backend = make_cpu_backend();
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{4097}, (size_t{2} << 20) + 1, size_t{9} << 20}) {
    const auto buffer = backend->allocate(bytes);
    EXPECT_EQ(buffer->size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % backend->target().alignment, 0u);
    if (bytes == 0) continue;
    EXPECT_EQ(buffer->data()[bytes - 1], std::byte{0});
    buffer->data()[0] = buffer->data()[bytes - 1] = std::byte{1};
  }
}

TEST(CpuBackend, RefusesMoreThanThereIs) {
  const auto backend = make_cpu_backend();
  try {
    (void)backend->allocate(size_t{1} << 60);
    FAIL() << "an exbibyte was granted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
    EXPECT_NE(std::string(error.what()).find("1099511627777 MiB are needed"), std::string::npos) << error.what();
  }
}

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
