// Plain packing converts, multiplies by a factor, and reads and gives back every element once.
#include <gtest/gtest.h>

#include "base/half.h"
#include "support/counting_reader.h"

namespace tempera {
namespace {

// Integers below 128, which are exact in every type.
std::vector<std::byte> numbers(DType dtype, size_t n) {
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = static_cast<float>(i % 127);
  std::vector<std::byte> bytes(n * size_of(dtype));
  convert(values.data(), DType::f32, bytes.data(), dtype, n);
  return bytes;
}

TEST(PackPlain, ConvertsPartsPieceByPiece) {
  const size_t large = static_cast<size_t>(kPackPiece) * 2 + 5, small = 3;
  const std::vector<std::byte> first = numbers(DType::f16, large), second = numbers(DType::bf16, small);
  std::vector<std::shared_ptr<const CountingReader>> counters;
  const auto parts = counted({stored_part(DType::f16, first, 0.25f), stored_part(DType::bf16, second)}, counters);
  std::vector<float> packed(large + small);
  pack_plain(DType::f32, parts, reinterpret_cast<std::byte*>(packed.data()));
  for (size_t i = 0; i < packed.size(); ++i) {
    const float expected = i < large ? static_cast<float>(i % 127) / 4 : static_cast<float>(i - large);
    ASSERT_EQ(packed[i], expected) << i;
  }
  for (const auto& counter : counters) EXPECT_EQ(counter->fault(), "");
  EXPECT_LE(counters[0]->largest_piece(), static_cast<size_t>(kPackPiece));
}

TEST(PackPlain, ABlockTimesAFactorIsTheBlock) {
  const std::vector<std::byte> bytes = numbers(DType::f32, 5000);
  const WeightPart plain = stored_part(DType::f32, bytes), half = stored_part(DType::f32, bytes, 0.5f);
  std::vector<float> whole(2 * 1500, -1), halved = whole;
  const ElementBlock block{100, 2, 1100, 2000};  // rows longer than the buffer between them
  read_block(plain, block, DType::f32, reinterpret_cast<std::byte*>(whole.data()), 1500 * sizeof(float));
  read_block(half, block, DType::f32, reinterpret_cast<std::byte*>(halved.data()), 1500 * sizeof(float));
  for (size_t r = 0; r < 2; ++r)
    for (size_t c = 0; c < 1500; ++c) {
      const float x = c < 1100 ? static_cast<float>((100 + r * 2000 + c) % 127) : -1;
      ASSERT_EQ(whole[r * 1500 + c], x);
      ASSERT_EQ(halved[r * 1500 + c], c < 1100 ? x / 2 : x);
    }
}

// The counters find reads and returns that packing must not make.
TEST(PackPlain, CountersFindFaults) {
  const std::vector<std::byte> bytes = numbers(DType::f32, 4);
  std::vector<float> out(4);
  auto* to = reinterpret_cast<std::byte*>(out.data());
  const auto fault = [&](const std::function<void(const CountingReader&)>& use) {
    const CountingReader reader(stored_part(DType::f32, bytes).reader, 4);
    use(reader);
    return reader.fault();
  };
  const auto read = [&](const CountingReader& r) { r.read(0, 4, DType::f32, to); };
  EXPECT_EQ(fault([&](auto& r) { read(r), r.done(0, 2), r.done(2, 2); }), "");
  EXPECT_EQ(fault([&](auto& r) { r.read(0, 3, DType::f32, to), r.done(0, 4); }), "reads element 3 0 times");
  EXPECT_EQ(fault([&](auto& r) { read(r), r.read(1, 1, DType::f32, to), r.done(0, 4); }), "reads element 1 2 times");
  EXPECT_EQ(fault([&](auto& r) { read(r), r.done(0, 3); }), "gives element 3 back 0 times");
  EXPECT_EQ(fault([&](auto& r) { read(r), r.done(0, 4), r.done(0, 4); }), "gives element 0 back 2 times");
  EXPECT_EQ(fault([&](auto& r) { r.done(0, 4), read(r); }), "reads elements that it gave back");
  EXPECT_EQ(fault([&](auto& r) { read(r), r.done(2, 2), r.done(0, 2); }), "gives elements back out of order");
}

}  // namespace
}  // namespace tempera
