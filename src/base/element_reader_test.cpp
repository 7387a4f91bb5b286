// Stored elements are the same when they are read in one piece, in pieces, in blocks and from several threads.
#include "base/element_reader.h"

#include <gmock/gmock.h>

#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/half.h"

namespace tempera {
namespace {

using testing::ElementsAre;
using testing::Pair;

constexpr size_t kElements = 1000;

// i / 8 - 50: exact in f16; bf16 rounds most of them.
float value(size_t i) {
  return static_cast<float>(i) / 8 - 50;
}

// Elements as `dtype`, one byte after the beginning, so that they are not aligned.
std::vector<std::byte> unaligned(DType dtype) {
  std::vector<float> values(kElements);
  for (size_t i = 0; i < kElements; ++i) values[i] = value(i);
  std::vector<std::byte> bytes(1 + kElements * size_of(dtype));
  convert(values.data(), DType::f32, bytes.data() + 1, dtype, kElements);
  return bytes;
}

std::vector<std::byte> read(const ElementReader& reader, size_t first, size_t n, DType to) {
  std::vector<std::byte> out(n * size_of(to));
  reader.read(first, n, to, out.data());
  return out;
}

TEST(StoredElements, PiecesEqualTheWhole) {
  for (const DType from : {DType::f32, DType::f16, DType::bf16})
    for (const DType to : {DType::f32, DType::f16, DType::bf16}) {
      const std::vector<std::byte> bytes = unaligned(from);
      const StoredElements reader(from, std::span(bytes).subspan(1));
      std::vector<std::byte> expected(kElements * size_of(to)), pieces(expected.size());
      convert(bytes.data() + 1, from, expected.data(), to, kElements);
      EXPECT_EQ(read(reader, 0, kElements, to), expected);
      for (size_t end = kElements; end > 0;) {  // from the end
        const size_t n = std::min<size_t>(end, 37);
        end -= n;
        reader.read(end, n, to, pieces.data() + end * size_of(to));
      }
      EXPECT_EQ(pieces, expected);
    }
}

TEST(StoredElements, BlocksAreRowsAtEqualDistances) {
  const std::vector<std::byte> bytes = unaligned(DType::f16);
  const StoredElements reader(DType::f16, std::span(bytes).subspan(1));
  std::vector<float> block(3 * 5, -1);
  reader.read_block({7, 3, 2, 100}, DType::f32, reinterpret_cast<std::byte*>(block.data()), 5 * sizeof(float));
  EXPECT_THAT(block, ElementsAre(value(7), value(8), -1, -1, -1, value(107), value(108), -1, -1, -1, value(207),
                                 value(208), -1, -1, -1));
  reader.read_block({kElements, 3, 0, 1}, DType::f32, nullptr, 0);
}

TEST(StoredElements, NothingBeyondTheEnd) {
  const std::vector<std::byte> bytes = unaligned(DType::f32);
  const StoredElements reader(DType::f32, std::span(bytes).subspan(1));
  EXPECT_THROW(read(reader, kElements - 1, 2, DType::f32), Error);
  std::vector<std::byte> out(100);
  EXPECT_THROW(reader.read_block({0, 3, 1, 500}, DType::f32, out.data(), 4), Error);
}

TEST(StoredElements, SeveralThreadsReadAtOnce) {
  const std::vector<std::byte> bytes = unaligned(DType::f16);
  const StoredElements reader(DType::f16, std::span(bytes).subspan(1));
  const std::vector<std::byte> expected = read(reader, 0, kElements, DType::bf16);
  std::vector<std::vector<std::byte>> results(4);
  std::vector<std::thread> threads;
  threads.reserve(results.size());
  for (auto& result : results)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) result = read(reader, 0, kElements, DType::bf16);
    });
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, expected);
}

TEST(StoredElements, GivesBackTheBytesOfElements) {
  const std::vector<std::byte> bytes = unaligned(DType::f16);
  std::vector<std::pair<std::ptrdiff_t, size_t>> released;
  const StoredElements reader(DType::f16, std::span(bytes).subspan(1), {}, [&](std::span<const std::byte> range) {
    released.emplace_back(range.data() - bytes.data(), range.size());
  });
  reader.done(0, 10);
  reader.done(990, 10);
  EXPECT_THAT(released, ElementsAre(Pair(1, 20), Pair(1981, 20)));
}

TEST(StoredElements, KeepsItsOwnerAlive) {
  auto bytes = std::make_shared<std::vector<std::byte>>(unaligned(DType::f32));
  const StoredElements reader(DType::f32, std::span(*bytes).subspan(1), bytes);
  const std::weak_ptr<std::vector<std::byte>> watched = bytes;
  bytes.reset();
  EXPECT_FALSE(watched.expired());
  EXPECT_EQ(read(reader, 5, 1, DType::f32).size(), 4u);
}

}  // namespace
}  // namespace tempera
