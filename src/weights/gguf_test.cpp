// The GGUF reader returns exactly the contents of a well-formed file, and nothing of a malformed one.
#include "weights/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/gguf_bytes.h"
#include "support/test_files.h"
#include "weights/block_types.h"
#include "weights/gguf_writer.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace {
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint32_t kF32 = 0, kF16 = 1, kQ8_0 = 8, kQ4_K = 12;

std::string problem(const std::string& contents) {
  return bad_file_message([&] { parse_gguf(std::as_bytes(std::span(contents)), "x"); });
}

// A file with one F32 tensor "t" and this value of the key "k".
std::string with_value(const GgufBytes& value) {
  GgufBytes file;
  file.start(1, 1).text("k");
  GgufBytes rest;
  rest.tensor("t", {1}, kF32, 0);
  std::string bytes = file.bytes() + value.bytes() + rest.bytes();
  bytes.append((32 - bytes.size() % 32) % 32, '\0');
  return bytes + "1234";
}

std::string one_tensor(std::initializer_list<uint64_t> dims, uint32_t type, uint64_t offset, size_t data) {
  return GgufBytes().start(1, 0).tensor("t", dims, type, offset).data(data).bytes();
}

TEST(Gguf, ReadsTypesShapesAndRanges) {
  const std::string long_name(100, 'n');
  for (const uint32_t version : {2u, 3u}) {
    const std::string contents = GgufBytes()
                                     .start(3, 5, version)
                                     .string_key("general.architecture", "sdxl")
                                     .u32_key("general.alignment", 64)
                                     .text("list")
                                     .number<uint32_t>(9)
                                     .number<uint32_t>(8)
                                     .number<uint64_t>(2)
                                     .text("a")
                                     .text("")
                                     .text("flag")
                                     .number<uint32_t>(7)
                                     .number<uint8_t>(1)
                                     .i32_array_key("comfy.gguf.orig_shape.conv", {2, 16, 4, 4})
                                     .tensor("conv", {256, 2}, kQ4_K, 64)
                                     .tensor(long_name, {3, 5}, kF16, 0)
                                     .tensor("bias", {1}, kF32, 64 + 2 * 192)
                                     .data(64 + 2 * 192 + 4, 64)
                                     .bytes();
    const GgufHeader header = parse_gguf(std::as_bytes(std::span(contents)), "x");
    const size_t data = contents.size() - (64 + 2 * 192 + 4);
    EXPECT_EQ(header.architecture, "sdxl");
    ASSERT_EQ(header.tensors.size(), 3u);
    const GgufTensor& conv = header.tensors.at("conv");
    EXPECT_EQ(conv.blocks, &block_type("Q4_K"));
    EXPECT_THAT(conv.dims, ElementsAre(2, 16, 4, 4));
    EXPECT_EQ(conv.begin, data + 64);
    EXPECT_EQ(conv.end, data + 64 + 2 * 144);
    const GgufTensor& matrix = header.tensors.at(long_name);
    EXPECT_EQ(matrix.dtype, DType::f16);
    EXPECT_THAT(matrix.dims, ElementsAre(5, 3));
    EXPECT_EQ(matrix.end - matrix.begin, 30u);
    EXPECT_THAT(header.tensors.at("bias").dims, ElementsAre(1));
  }
}

TEST(Gguf, NoTensorsIsLegal) {
  EXPECT_EQ(problem(GgufBytes().start(0, 0).bytes()), "");
}

TEST(Gguf, RefusesBadBeginnings) {
  EXPECT_THAT(problem(""), HasSubstr("does not begin with GGUF"));
  EXPECT_THAT(problem("GGU"), HasSubstr("does not begin with GGUF"));
  EXPECT_THAT(problem("GGUF\x03"), HasSubstr("'x' is truncated: the version needs 4 bytes and 1 remain"));
  EXPECT_THAT(problem(GgufBytes().start(0, 0, 1).bytes()), HasSubstr("of version 1: use one of version 2 or 3"));
  EXPECT_THAT(problem(GgufBytes().start(0, 0, 4).bytes()), HasSubstr("of version 4"));
  EXPECT_THAT(problem(GgufBytes().start(0, 0, 0x03000000).bytes()), HasSubstr("big-endian"));
  EXPECT_THAT(problem(GgufBytes().start(1, 0).bytes()), HasSubstr("0 bytes left for 1 tensors"));
  EXPECT_THAT(problem(GgufBytes().start(UINT64_MAX, 0).bytes()), HasSubstr("left for 18446744073709551615 tensors"));
  EXPECT_THAT(problem(GgufBytes().start(0, UINT64_MAX).bytes()), HasSubstr("left for 18446744073709551615 keys"));
}

TEST(Gguf, RefusesBadMetadata) {
  EXPECT_EQ(problem(with_value(GgufBytes().number<uint32_t>(0).number<uint8_t>(1))), "");
  EXPECT_THAT(problem(with_value(GgufBytes().number<uint32_t>(13).number<uint64_t>(1))),
              HasSubstr("'k' is of the unknown type 13"));
  EXPECT_THAT(problem(with_value(GgufBytes().number<uint32_t>(7).number<uint8_t>(2))), HasSubstr("true or false"));
  EXPECT_THAT(problem(with_value(GgufBytes().number<uint32_t>(8).number<uint64_t>(1u << 30))),
              AllOf(HasSubstr("truncated"), HasSubstr("a string of the metadata needs 1073741824 bytes")));
  EXPECT_THAT(problem(with_value(GgufBytes().number<uint32_t>(8).number<uint64_t>(UINT64_MAX))),
              HasSubstr("truncated"));
  EXPECT_THAT(problem(with_value(GgufBytes().number<uint32_t>(9).number<uint32_t>(9).number<uint64_t>(1))),
              HasSubstr("an array of arrays"));
  EXPECT_THAT(problem(with_value(GgufBytes().number<uint32_t>(9).number<uint32_t>(0).number<uint64_t>(UINT64_MAX))),
              HasSubstr("left for 18446744073709551615 elements of an array"));
  // 2^61 elements of 8 bytes are 2^64 bytes: without the division they would look like none.
  EXPECT_THAT(problem(with_value(GgufBytes().number<uint32_t>(9).number<uint32_t>(10).number<uint64_t>(1ull << 61))),
              HasSubstr("elements of an array"));
  EXPECT_THAT(problem(with_value(GgufBytes().number<uint32_t>(9).number<uint32_t>(8).number<uint64_t>(1ull << 61))),
              HasSubstr("elements of an array"));
  EXPECT_THAT(problem(with_value(GgufBytes().number<uint32_t>(9).number<uint32_t>(13).number<uint64_t>(1))),
              HasSubstr("unknown type 13"));
  EXPECT_THAT(problem(GgufBytes().start(0, 2).u32_key("k", 1).u32_key("k", 1).bytes()), HasSubstr("'k' appears twice"));
  EXPECT_THAT(problem(GgufBytes().start(0, 1).u32_key("", 1).bytes()), HasSubstr("must have 1 to 65535"));
  EXPECT_THAT(problem(GgufBytes().start(0, 1).u32_key(std::string(65536, 'k'), 1).bytes()),
              HasSubstr("has 65536 bytes, must have 1 to 65535"));
}

TEST(Gguf, RefusesValuesOfOtherTypes) {
  EXPECT_THAT(problem(GgufBytes().start(0, 1).string_key("general.alignment", "32").bytes()),
              HasSubstr("must be an unsigned 32-bit integer"));
  EXPECT_THAT(problem(GgufBytes().start(0, 1).u32_key("general.architecture", 1).bytes()),
              HasSubstr("must be a string"));
  EXPECT_THAT(problem(GgufBytes().start(0, 1).u32_key("comfy.gguf.orig_shape.t", 1).bytes()),
              HasSubstr("must be an array"));
  EXPECT_THAT(problem(GgufBytes()
                          .start(0, 1)
                          .text("comfy.gguf.orig_shape.t")
                          .number<uint32_t>(9)
                          .number<uint32_t>(4)
                          .number<uint64_t>(1)
                          .number<uint32_t>(1)
                          .bytes()),
              HasSubstr("must be 32-bit integers"));
  for (const uint32_t alignment : {0u, 3u, 48u})
    EXPECT_THAT(problem(GgufBytes().start(0, 1).u32_key("general.alignment", alignment).bytes()),
                HasSubstr("must be a power of two"));
}

TEST(Gguf, RefusesBadTensors) {
  EXPECT_EQ(problem(one_tensor({3}, kF32, 0, 12)), "");
  EXPECT_THAT(problem(one_tensor({}, kF32, 0, 40)), HasSubstr("has 0 dimensions, must have 1 to 4"));
  EXPECT_THAT(problem(one_tensor({1, 1, 1, 1, 1}, kF32, 0, 4)), HasSubstr("has 5 dimensions"));
  EXPECT_THAT(problem(one_tensor({0}, kF32, 0, 40)), HasSubstr("has the dimension 0"));
  EXPECT_THAT(problem(one_tensor({UINT64_MAX}, kF32, 0, 4)), HasSubstr("has the dimension 18446744073709551615"));
  EXPECT_THAT(problem(one_tensor({1ull << 32, 1ull << 32}, kF32, 0, 4)),
              HasSubstr("shape of the tensor 't' overflows"));
  EXPECT_THAT(problem(one_tensor({1ull << 62}, kF32, 0, 4)), HasSubstr("size of the tensor 't' overflows"));
  EXPECT_THAT(problem(one_tensor({1}, kF32, UINT64_MAX - 31, 4)), HasSubstr("truncated"));
  EXPECT_THAT(problem(one_tensor({8}, kF32, UINT64_MAX - 31, 32)), HasSubstr("overflows"));
  EXPECT_THAT(problem(one_tensor({32}, 20, 0, 18)), AllOf(HasSubstr("type IQ4_NL"), HasSubstr("Q8_0")));
  EXPECT_THAT(problem(one_tensor({32}, 99, 0, 18)), HasSubstr("type number 99"));
  EXPECT_THAT(problem(one_tensor({33}, kQ8_0, 0, 68)),
              HasSubstr("have 33 elements, its type Q8_0 needs a multiple of 32"));
  EXPECT_THAT(problem(one_tensor({1}, kF32, 4, 8)), HasSubstr("no multiple of the alignment 32"));
  EXPECT_THAT(problem(one_tensor({3}, kF32, 0, 11)), HasSubstr("'x' is truncated: the tensor 't' ends 12 bytes after"));
  EXPECT_THAT(problem(one_tensor({3}, kF32, 0, 0)), HasSubstr("truncated"));
  EXPECT_THAT(problem(GgufBytes().start(2, 0).tensor("t", {1}, kF32, 0).tensor("t", {1}, kF32, 32).data(64).bytes()),
              HasSubstr("'t' appears twice"));
  EXPECT_THAT(problem(GgufBytes().start(2, 0).tensor("a", {9}, kF32, 0).tensor("b", {1}, kF32, 32).data(64).bytes()),
              HasSubstr("'b' overlaps another one"));
  EXPECT_THAT(problem(GgufBytes().start(1, 0).tensor("", {1}, kF32, 0).data(4).bytes()),
              HasSubstr("the name of a tensor has 0 bytes"));
}

TEST(Gguf, RefusesOriginalShapesThatDoNotFit) {
  const auto with_shape = [](std::initializer_list<int32_t> dims) {
    return problem(GgufBytes()
                       .start(1, 1)
                       .i32_array_key("comfy.gguf.orig_shape.t", dims)
                       .tensor("t", {6}, kF32, 0)
                       .data(24)
                       .bytes());
  };
  EXPECT_EQ(with_shape({2, 3}), "");
  EXPECT_THAT(with_shape({2, 2}), AllOf(HasSubstr("'t' is 6"), HasSubstr("original shape 2x2")));
  EXPECT_THAT(with_shape({-6}), HasSubstr("has the dimension -6"));
  EXPECT_THAT(with_shape({}), HasSubstr("has 0 dimensions, must have 1 to 4"));
  EXPECT_THAT(with_shape({6, 1, 1, 1, 1}), HasSubstr("has 5 dimensions"));
  EXPECT_THAT(with_shape({1 << 30, 1 << 30, 1 << 30}), HasSubstr("overflows"));
}

// Every beginning of a file is refused, and changed bytes are read or refused, without a crash.
TEST(Gguf, EveryPrefixIsRefused) {
  const std::string whole = GgufBytes()
                                .start(2, 2)
                                .string_key("general.architecture", "sdxl")
                                .i32_array_key("comfy.gguf.orig_shape.a", {2, 3})
                                .tensor("a", {6}, kF32, 0)
                                .tensor("b", {32}, kQ8_0, 32)
                                .data(66)
                                .bytes();
  EXPECT_EQ(problem(whole), "");
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_NE(problem(whole.substr(0, size)), "") << size;
  for (size_t at = 0; at < whole.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 1 << bit);
      problem(changed);  // expects Error(bad_file), if any
    }
}

TEST(GgufFile, ReadsWhatTheWriterWrote) {
  const TemporaryFolder folder;
  const BlockType& q8 = block_type("Q8_0");
  const std::vector<GgufSpec> specs = {{"a", DType::f32, {3}, nullptr}, {"b", DType::f32, {2, 32}, &q8}};
  std::vector<std::byte> blocks(2 * q8.bytes);
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<std::byte>(i);
  const std::vector<float> numbers = {1, 2, 3};
  GgufWriter writer(folder / "x.safetensors", specs);  // the contents decide, not the name
  writer.append(std::as_bytes(std::span(numbers)).first(5));
  writer.append(std::as_bytes(std::span(numbers)).subspan(5));
  writer.append(blocks);
  writer.commit();
  const auto file = open_tensor_file(folder / "x.safetensors");
  EXPECT_THAT(file->names(), ElementsAre("a", "b"));
  EXPECT_THAT(file->get("a").floats(), ElementsAre(1, 2, 3));
  const CheckpointTensor b = file->get("b");
  EXPECT_EQ(b.stored_type(), "Q8_0");
  EXPECT_EQ(b.stored_bytes(), 68u);
  EXPECT_THAT(b.dims, ElementsAre(2, 32));
  std::vector<float> expected(64);
  BlockElements(q8, blocks).read(0, 64, DType::f32, std::as_writable_bytes(std::span(expected)).data());
  EXPECT_EQ(b.floats(), expected);
  b.reader->done(0, 64);
  EXPECT_EQ(b.floats(), expected);
  EXPECT_FALSE(file->find("c"));
  EXPECT_THAT(file->origin("b"), HasSubstr("'b' in '" + folder.path().string()));
}

TEST(GgufFile, RefusesOtherArchitectures) {
  const TemporaryFolder folder;
  write_file(folder / "x.gguf", GgufBytes().start(0, 1).string_key("general.architecture", "flux").bytes());
  EXPECT_THAT(bad_file_message([&] { open_tensor_file(folder / "x.gguf"); }),
              HasSubstr("of the architecture 'flux': use one of sdxl"));
}

}  // namespace
}  // namespace tempera
