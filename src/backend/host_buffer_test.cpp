// Host memory is aligned and zero. A request for too much memory is an error and not a crash.
#include "backend/host_buffer.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tempera {
namespace {

TEST(HostBuffer, IsAlignedZeroAndWritable) {
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{4097}, (size_t{2} << 20) + 1, size_t{9} << 20}) {
    const auto buffer = allocate_host_buffer(bytes);
    EXPECT_EQ(buffer->size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % Target().alignment, 0u);
    if (bytes == 0) continue;
    EXPECT_EQ(buffer->data()[bytes - 1], std::byte{0});
    buffer->data()[0] = buffer->data()[bytes - 1] = std::byte{1};
  }
}

TEST(HostBuffer, RefusesMoreThanThereIs) {
  try {
    (void)allocate_host_buffer(size_t{1} << 60);
    FAIL() << "an exbibyte was granted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
    EXPECT_NE(std::string(error.what()).find("1099511627777 MiB are needed"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace tempera
