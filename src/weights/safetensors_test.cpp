// The safetensors reader returns exactly the contents of a well-formed file, and nothing of a malformed one.
#include "weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>

#include "base/error.h"
#include "support/test_files.h"
#include "weights/safetensors_writer.h"

namespace tempera {
namespace {
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// A file with this header, as it is, and so many bytes of data.
std::string file(std::string_view header, size_t data) {
  std::string result;
  for (int i = 0; i < 8; ++i) result.push_back(static_cast<char>(header.size() >> (8 * i) & 0xff));
  return result.append(header) + std::string(data, 'd');
}

std::string problem(std::string_view contents) {
  return bad_file_message([&] { parse_safetensors(as_bytes(contents), "x"); });
}

std::string header_problem(std::string_view header, size_t data) {
  return problem(file(header, data));
}

// {"t": {"dtype": ..., "shape": ..., "data_offsets": ...}}
std::string tensor(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return fmt::format(R"({{"t":{{"dtype":"{}","shape":{},"data_offsets":{}}}}})", dtype, shape, offsets);
}

TEST(Safetensors, ReadsTypesShapesAndRanges) {
  const std::string contents = file(R"({"b":{"dtype":"F16","shape":[2,3],"data_offsets":[4,16]},
    "__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
    "empty":{"dtype":"I64","shape":[3,0],"data_offsets":[4,4]},"\u00e9":{"dtype":"F4","shape":[6],"data_offsets":[16,19]}}   )",
                                    19);
  const SafetensorsHeader header = parse_safetensors(as_bytes(contents), "x");
  const size_t data = contents.size() - 19;
  ASSERT_EQ(header.tensors.size(), 4u);
  EXPECT_EQ(header.metadata.at("format"), "pt");
  const auto& [a, b, empty, accent] =
      std::tie(header.tensors[0], header.tensors[1], header.tensors[2], header.tensors[3]);
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.dtype, DType::f32);
  EXPECT_THAT(a.dims, ElementsAre());
  EXPECT_EQ(b.dtype, DType::f16);
  EXPECT_THAT(b.dims, ElementsAre(2, 3));
  EXPECT_EQ(b.begin, data + 4);
  EXPECT_EQ(b.end, data + 16);
  EXPECT_THAT(empty.dims, ElementsAre(3, 0));
  EXPECT_EQ(accent.name, "\u00e9");
  EXPECT_EQ(accent.dtype, std::nullopt);
  EXPECT_EQ(accent.dtype_name, "F4");
}

TEST(Safetensors, NoTensorsIsLegal) {
  EXPECT_EQ(header_problem("{}", 0), "");
  EXPECT_EQ(header_problem(R"({"__metadata__":{}})", 0), "");
}

TEST(Safetensors, RefusesBadFraming) {
  EXPECT_THAT(problem(""), HasSubstr("truncated"));
  EXPECT_THAT(problem("1234567"), HasSubstr("it has 7 bytes"));
  EXPECT_THAT(problem(std::string(8, '\0')), HasSubstr("no JSON object"));
  EXPECT_THAT(problem(std::string("\x03\0\0\0\0\0\0\0{}", 10)), HasSubstr("'x' is truncated: its header has 3 bytes"));
  EXPECT_THAT(problem(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10)), HasSubstr("18446744073709551615 bytes"));
  EXPECT_THAT(problem(std::string("\x41\x78\x7d\x01\0\0\0\0{}", 10)),
              HasSubstr("25000001 bytes, more than the 25000000"));
  EXPECT_THAT(header_problem(" {}", 0), HasSubstr("no JSON object padded with spaces"));
  EXPECT_THAT(header_problem("{}\n", 0), HasSubstr("no JSON object padded with spaces"));
  EXPECT_THAT(header_problem(std::string_view("{}\0", 3), 0), HasSubstr("no JSON object padded with spaces"));
  EXPECT_THAT(header_problem("{} {}", 0), HasSubstr("not valid JSON"));
  EXPECT_THAT(header_problem("[]", 0), HasSubstr("no JSON object"));
}

TEST(Safetensors, RefusesBadJson) {
  EXPECT_THAT(header_problem("{\"\xff\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1),
              HasSubstr("not valid JSON"));
  EXPECT_THAT(header_problem(R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
                                 "t":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                             2),
              HasSubstr("\"t\" appears twice"));
  EXPECT_THAT(header_problem(R"({"t":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1),
              HasSubstr("\"dtype\" appears twice"));
  EXPECT_THAT(header_problem(R"({"__metadata__":{"a":1}})", 0), HasSubstr("the metadata 'a' is no string"));
  EXPECT_THAT(header_problem(R"({"__metadata__":"a"})", 0), HasSubstr("__metadata__ is no object"));
  EXPECT_THAT(header_problem(R"({"__metadata__":{"a":"1","a":"2"}})", 0), HasSubstr("\"a\" appears twice"));
  EXPECT_THAT(header_problem(R"({"t":7})", 0), HasSubstr("'t' is not described"));
  EXPECT_THAT(header_problem(R"({"t":{"shape":[1],"data_offsets":[0,1]}})", 1), HasSubstr("no valid \"dtype\""));
  EXPECT_THAT(header_problem(R"({"t":{"dtype":"U8","data_offsets":[0,1]}})", 1), HasSubstr("no valid \"shape\""));
  EXPECT_THAT(header_problem(R"({"t":{"dtype":"U8","shape":[1]}})", 1), HasSubstr("no valid \"data_offsets\""));
  EXPECT_THAT(header_problem(R"({"t":{"dtype":8,"shape":[1],"data_offsets":[0,1]}})", 1),
              HasSubstr("no valid \"dtype\""));
}

TEST(Safetensors, RefusesBadTypesAndShapes) {
  EXPECT_THAT(header_problem(tensor("F17", "[1]", "[0,2]"), 2), HasSubstr("the unknown type 'F17'"));
  EXPECT_THAT(header_problem(tensor("f16", "[1]", "[0,2]"), 2), HasSubstr("the unknown type 'f16'"));
  EXPECT_THAT(header_problem(tensor("U8", "[-1]", "[0,1]"), 1), HasSubstr("no whole number"));
  EXPECT_THAT(header_problem(tensor("U8", "[1.0]", "[0,1]"), 1), HasSubstr("no whole number"));
  EXPECT_THAT(header_problem(tensor("U8", "[\"1\"]", "[0,1]"), 1), HasSubstr("no whole number"));
  EXPECT_THAT(header_problem(tensor("U8", "[1e400]", "[0,1]"), 1), HasSubstr("not valid JSON"));
  EXPECT_THAT(header_problem(tensor("U8", "1", "[0,1]"), 1), HasSubstr("no valid \"shape\""));
  EXPECT_THAT(header_problem(tensor("F32", "[4611686018427387904,4]", "[0,0]"), 0), HasSubstr("overflows"));
  EXPECT_THAT(header_problem(tensor("U8", "[18446744073709551615]", "[0,1]"), 1), HasSubstr("overflows"));
  EXPECT_THAT(header_problem(tensor("U8", "[99999999999999999999]", "[0,1]"), 1), HasSubstr("no whole number"));
  // 2^31 * 2^31 * 32 bits is a multiple of 2^64: without the check it would look like 0 bytes.
  EXPECT_THAT(header_problem(tensor("F32", "[2147483648,2147483648]", "[0,0]"), 0), HasSubstr("overflows"));
  EXPECT_THAT(header_problem(tensor("F4", "[3]", "[0,1]"), 1), HasSubstr("whole byte"));
  std::string ones = "[1";
  for (int i = 0; i < 64; ++i) ones += ",1";
  EXPECT_THAT(header_problem(tensor("U8", ones + "]", "[0,1]"), 1), HasSubstr("has 65 dimensions"));
}

TEST(Safetensors, RefusesBadRanges) {
  EXPECT_THAT(header_problem(tensor("U8", "[1]", "[0]"), 1), HasSubstr("no two offsets"));
  EXPECT_THAT(header_problem(tensor("U8", "[1]", "[0,1,2]"), 1), HasSubstr("no two offsets"));
  EXPECT_THAT(header_problem(tensor("U8", "[1]", "[1,0]"), 1), HasSubstr("its shape needs 1"));
  EXPECT_THAT(header_problem(tensor("U8", "[2]", "[0,1]"), 1), HasSubstr("its shape needs 2"));
  EXPECT_THAT(header_problem(tensor("U8", "[1]", "[-1,0]"), 1), HasSubstr("no whole number"));
  EXPECT_THAT(header_problem(tensor("U8", "[1]", "[0.0,1]"), 1), HasSubstr("no whole number"));
  EXPECT_THAT(header_problem(tensor("U8", "[1]", "[18446744073709551614,18446744073709551615]"), 1),
              HasSubstr("truncated"));
  EXPECT_THAT(header_problem(tensor("U8", "[2]", "[0,2]"), 1),
              HasSubstr("'x' is truncated: the tensor 't' ends 2 bytes after the header, the file after 1"));
  EXPECT_THAT(header_problem(tensor("U8", "[1]", "[1,2]"), 2), HasSubstr("a hole before the tensor 't'"));
  EXPECT_THAT(header_problem(tensor("U8", "[1]", "[0,1]"), 2), HasSubstr("1 bytes after its last tensor"));
  EXPECT_THAT(header_problem("{}", 1), HasSubstr("1 bytes after its last tensor"));
  const auto two = [](const char* first, const char* second) {
    return fmt::format(
        R"({{"a":{{"dtype":"U8","shape":[2],"data_offsets":{}}},"b":{{"dtype":"U8","shape":[2],"data_offsets":{}}}}})",
        first, second);
  };
  EXPECT_EQ(header_problem(two("[2,4]", "[0,2]"), 4), "");
  EXPECT_THAT(header_problem(two("[0,2]", "[1,3]"), 3), HasSubstr("an overlap before the tensor 'b'"));
  EXPECT_THAT(header_problem(two("[0,2]", "[0,2]"), 2), HasSubstr("an overlap"));
  EXPECT_THAT(header_problem(two("[0,2]", "[3,5]"), 5), HasSubstr("a hole before the tensor 'b'"));
}

TEST(Safetensors, MessagesHaveNoControlCharacters) {
  const std::string message = header_problem(R"({"a\u0007\n)" + std::string(1000, 'n') + R"(":{}})", 0);
  EXPECT_LT(message.size(), 400u);
  EXPECT_TRUE(std::all_of(message.begin(), message.end(), [](unsigned char c) { return c >= 0x20; }));
}

std::string small_file() {
  const std::vector<TensorSpec> tensors = {
      {"conv.weight", DType::f16, {2, 3, 1, 1}}, {"conv.bias", DType::f32, {2}}, {"scale", DType::bf16, {}}};
  std::string contents = safetensors_header(tensors, {{"format", "pt"}});
  for (int i = 0; i < 12 + 8 + 2; ++i) contents.push_back(static_cast<char>(i));
  return contents;
}

TEST(Safetensors, EveryTruncationIsAnError) {
  const std::string whole = small_file();
  EXPECT_EQ(problem(whole), "");
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(problem(std::string_view(whole).substr(0, size)), "") << size;
  }
}

// first, first + 1, ...
std::vector<std::byte> counting(int first, size_t n) {
  std::vector<std::byte> bytes(n);
  for (size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::byte>(first + static_cast<int>(i));
  return bytes;
}

// A flipped byte is an error, or leaves a file whose tensors still tile its data.
TEST(Safetensors, RandomFlips) {
  const std::string whole = small_file();
  const size_t data = 22;
  std::mt19937 random(1);
  int accepted = 0;
  for (int i = 0; i < 10'000; ++i) {
    std::string flipped = whole;
    const size_t at = random() % flipped.size();
    flipped[at] = static_cast<char>(flipped[at] ^ (1 + random() % 255));
    SafetensorsHeader header;
    const std::string message = bad_file_message([&] { header = parse_safetensors(as_bytes(flipped), "x"); });
    if (at >= whole.size() - data) {
      EXPECT_EQ(message, "");
    }
    if (!message.empty()) continue;
    ++accepted;
    ASSERT_EQ(header.tensors.size(), 3u);
    size_t bytes = 0;
    for (const SafetensorsEntry& entry : header.tensors) {
      ASSERT_LE(entry.begin, entry.end);
      ASSERT_LE(entry.end, flipped.size());
      bytes += entry.end - entry.begin;
    }
    EXPECT_EQ(bytes, data);
  }
  EXPECT_GT(accepted, 500);   // names, metadata, data
  EXPECT_LT(accepted, 7000);  // the rest
}

TEST(SafetensorsFile, ReadsElementsOfTheFile) {
  const TemporaryFolder folder;
  write_file(folder / "x.safetensors", small_file());
  const SafetensorsFile checkpoint(folder / "x.safetensors");
  EXPECT_THAT(checkpoint.names(), ElementsAre("conv.bias", "conv.weight", "scale"));
  const CheckpointTensor weight = checkpoint.get("conv.weight");
  EXPECT_EQ(weight.dtype, DType::f16);
  EXPECT_THAT(weight.dims, ElementsAre(2, 3, 1, 1));
  EXPECT_EQ(weight.stored_bytes(), 12u);
  EXPECT_EQ(weight.revision, 0u);
  ASSERT_EQ(stored_bytes(weight), counting(0, 12));
  EXPECT_EQ(stored_bytes(checkpoint.get("conv.bias")), counting(12, 8));
  EXPECT_EQ(stored_bytes(checkpoint.get("scale")), counting(20, 2));
  EXPECT_EQ(checkpoint.get("scale").elements(), 1);
  EXPECT_FALSE(checkpoint.find("conv"));
  weight.reader->done(0, 6);
  weight.reader->done(6, 0);
  EXPECT_EQ(stored_bytes(weight), counting(0, 12));
  EXPECT_THAT(bad_file_message([&] { checkpoint.get("conv"); }),
              AllOf(HasSubstr("the tensor 'conv' in '"), HasSubstr("x.safetensors' is missing")));
}

TEST(SafetensorsFile, ReadersKeepTheFile) {
  const TemporaryFolder folder;
  write_file(folder / "x.safetensors", small_file());
  CheckpointTensor weight;
  {
    const SafetensorsFile checkpoint(folder / "x.safetensors");
    weight = checkpoint.get("conv.weight");
  }
  std::filesystem::remove(folder / "x.safetensors");
  weight.reader->done(0, 6);
  EXPECT_EQ(stored_bytes(weight), counting(0, 12));
}

TEST(SafetensorsFile, TypesThatAreNotOursAreRefusedWhenUsed) {
  const TemporaryFolder folder;
  write_file(folder / "x.safetensors", file(tensor("U32", "[1]", "[0,4]"), 4));
  const SafetensorsFile checkpoint(folder / "x.safetensors");
  EXPECT_THAT(bad_file_message([&] { checkpoint.find("t"); }), HasSubstr("is of type U32, which is not supported"));
}

TEST(SafetensorsFile, NamesOtherFormats) {
  const TemporaryFolder folder;
  const auto opening = [&](const char* name, std::string_view contents) {
    write_file(folder / name, contents);
    return bad_file_message([&] { SafetensorsFile(folder / name); });
  };
  const auto pickle = [&](const std::string& advice, const char* name) {
    return HasSubstr("is a pickle, which can run code when it is opened, and is never read: " + advice + " '" +
                     (folder / name).string() + "'");
  };
  const std::string get = "get the model as safetensors or convert it, often the file is";
  EXPECT_THAT(opening("pytorch_model.bin", "PK\x03\x04 and so on"), pickle(get, "model.safetensors"));
  EXPECT_THAT(opening("b.ckpt", std::string_view("\x80\x02}q\0X.........", 14)), pickle(get, "b.safetensors"));
  write_file(folder / "b.safetensors", "x");
  EXPECT_THAT(opening("b.ckpt", "PK\x03\x04"), pickle("use", "b.safetensors"));
  // The advice is not the file itself.
  const std::string renamed = opening("a.safetensors", "PK\x03\x04 and so on");
  EXPECT_THAT(renamed, HasSubstr("a.safetensors' is a pickle under the name of a safetensors file"));
  EXPECT_EQ(renamed.find("a.safetensors"), renamed.rfind("a.safetensors"));
  EXPECT_THAT(opening("c.pt", "anything"), HasSubstr("is a pickle"));
  EXPECT_THAT(opening("d.pth", ""), HasSubstr("is a pickle"));
  EXPECT_THAT(opening("e.bin", std::string_view("GGUF\x03\0\0\0", 8)),
              HasSubstr("is a GGUF file where a safetensors file is needed"));
  EXPECT_THAT(opening("f.gguf", "x"), HasSubstr("is no GGUF file: it does not begin with GGUF"));
  EXPECT_THAT(opening("g.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0"),
              HasSubstr("Git LFS pointer"));
  EXPECT_THAT(opening("h.safetensors", "<!DOCTYPE html>"), HasSubstr("is a web page"));
  EXPECT_THAT(bad_file_message([&] { SafetensorsFile(folder / "none"); }), HasSubstr("cannot open"));
  EXPECT_THAT(bad_file_message([&] { SafetensorsFile(folder.path()); }), HasSubstr("not a regular file"));
  // A header of 0x280 bytes begins like a pickle of protocol 2.
  std::string header = "{}";
  header.resize(0x280, ' ');
  EXPECT_EQ(opening("i.bin", file(header, 0)), "");
}

TEST(ShardedSafetensors, ReadsAllShards) {
  const TemporaryFolder folder;
  const std::vector<std::byte> data(8, std::byte{7});
  write_safetensors(folder / "m-00001-of-00002.safetensors", {{{"a", DType::u8, {8}}, data}});
  write_safetensors(folder / "m-00002-of-00002.safetensors",
                    {{{"b", DType::f32, {2}}, data}, {{"extra", DType::u8, {0}}, {}}});
  const auto index = folder / "m.safetensors.index.json";
  write_file(index, R"({"metadata":{"total_size":16},"weight_map":{"a":"m-00001-of-00002.safetensors",
                        "b":"m-00002-of-00002.safetensors"}})");
  const ShardedSafetensors checkpoint(index);
  EXPECT_THAT(checkpoint.names(), ElementsAre("a", "b"));
  EXPECT_EQ(checkpoint.shards().size(), 2u);
  EXPECT_EQ(stored_bytes(checkpoint.get("b")), data);
  checkpoint.get("b").reader->done(0, 2);
  EXPECT_EQ(stored_bytes(checkpoint.get("b")), data);
  EXPECT_THAT(checkpoint.origin("b"),
              HasSubstr("'b' in '" + folder.path().string() + "/m-00002-of-00002.safetensors'"));
  EXPECT_THAT(checkpoint.origin("c"), HasSubstr("m.safetensors.index.json'"));

  const auto opening = [&](const char* text) {
    write_file(index, text);
    return bad_file_message([&] { ShardedSafetensors{index}; });
  };
  EXPECT_THAT(opening(R"({"weight_map":{"a":"m-00002-of-00002.safetensors"}})"),
              HasSubstr("says that 'm-00002-of-00002.safetensors' has the tensor 'a', but it has not"));
  EXPECT_THAT(opening(R"({"weight_map":{"a":"m-00003-of-00003.safetensors"}})"),
              HasSubstr("m-00003-of-00003.safetensors' is missing, and '"));
  write_safetensors(folder / "m-00002-of-00002.safetensors",
                    {{{"a", DType::u8, {8}}, data}, {{"b", DType::u8, {8}}, data}});
  EXPECT_THAT(
      opening(R"({"weight_map":{"a":"m-00001-of-00002.safetensors","b":"m-00002-of-00002.safetensors"}})"),
      HasSubstr("puts the tensor 'a' into 'm-00001-of-00002.safetensors', but 'm-00002-of-00002.safetensors' has it"));
}

TEST(ShardedSafetensors, ShardsArePlainNamesOfTheSameFolder) {
  for (const char* shard : {"../x.safetensors", "/x.safetensors", "a/x.safetensors", "..", ".", "", ".safetensors",
                            ".x.safetensors", "x.bin", "a\\\\x.safetensors", "x\\u0000.safetensors"}) {
    const std::string text = fmt::format(R"({{"weight_map":{{"t":"{}"}}}})", shard);
    EXPECT_THAT(bad_file_message([&] { parse_safetensors_index(text, "i"); }),
                HasSubstr("the tensor 't' is not said to be in"))
        << shard;
  }
  EXPECT_THAT(bad_file_message([&] { parse_safetensors_index(R"({"weight_map":{"t":1}})", "i"); }),
              HasSubstr("is not said"));
  EXPECT_THAT(bad_file_message([&] { parse_safetensors_index(R"({"weight_map":[]})", "i"); }),
              HasSubstr("no \"weight_map\""));
  EXPECT_THAT(bad_file_message([&] { parse_safetensors_index("[]", "i"); }), HasSubstr("no \"weight_map\""));
  EXPECT_THAT(bad_file_message(
                  [&] { parse_safetensors_index(R"({"weight_map":{"t":"a.safetensors","t":"b.safetensors"}})", "i"); }),
              HasSubstr("appears twice"));
}

TEST(SafetensorsWriter, WhatIsWrittenIsRead) {
  const std::vector<TensorSpec> tensors = {
      {"z \"quoted\" \n \u00e9", DType::bf16, {3, 2}}, {"scalar", DType::f64, {}}, {"empty", DType::i8, {0, 5}}};
  const std::string header = safetensors_header(tensors, {{"k", "v \""}});
  EXPECT_EQ(header.size() % 64, 0u);
  const std::string contents = header + std::string(12 + 8, 'd');
  const SafetensorsHeader read = parse_safetensors(as_bytes(contents), "x");
  ASSERT_EQ(read.tensors.size(), 3u);
  EXPECT_EQ(read.metadata.at("k"), "v \"");
  EXPECT_EQ(read.tensors[2].name, tensors[0].name);
  EXPECT_EQ(read.tensors[2].begin, header.size());
  EXPECT_EQ(read.tensors[1].begin, header.size() + 12);
  EXPECT_THAT(read.tensors[0].dims, ElementsAre(0, 5));
  EXPECT_THROW(safetensors_header(std::vector<TensorSpec>{{"a", DType::u8, {}}, {"a", DType::u8, {}}}), Error);
}

TEST(SafetensorsWriter, NothingAppearsUnlessComplete) {
  const TemporaryFolder folder;
  const std::vector<TensorSpec> tensors = {{"a", DType::u8, {3}}, {"b", DType::u8, {2}}};
  {
    SafetensorsWriter writer(folder / "x", tensors);
    writer.append(as_bytes("123"));
    EXPECT_THROW(writer.commit(), Error);
    EXPECT_THROW(writer.append(as_bytes("456")), Error);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  SafetensorsWriter writer(folder / "x", tensors);
  writer.append(as_bytes("12"));
  writer.append(as_bytes("345"));
  writer.commit();
  EXPECT_EQ(stored_bytes(SafetensorsFile(folder / "x").get("b")).at(1), std::byte{'5'});
}

}  // namespace
}  // namespace tempera
