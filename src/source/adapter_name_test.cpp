// The division of "FILE:PART:PART", also for names of files with colons.
#include "source/adapter_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/files.h"

namespace tempera {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(AdapterName, ColonsDivide) {
  EXPECT_EQ(split_adapter_name("style", 2).file, "style");
  EXPECT_THAT(split_adapter_name("style", 2).parts, IsEmpty());
  EXPECT_EQ(split_adapter_name("a/style.safetensors:0.5", 2).file, "a/style.safetensors");
  EXPECT_THAT(split_adapter_name("a/style.safetensors:0.5", 2).parts, ElementsAre("0.5"));
  EXPECT_EQ(split_adapter_name("style:0.5:-1", 2).file, "style");
  EXPECT_THAT(split_adapter_name("style:0.5:-1", 2).parts, ElementsAre("0.5", "-1"));
  EXPECT_EQ(split_adapter_name("a:b:c", 1).file, "a:b");
  EXPECT_THAT(split_adapter_name("a:b:c", 1).parts, ElementsAre("c"));
  EXPECT_EQ(split_adapter_name("style:", 1).file, "style");
  EXPECT_THAT(split_adapter_name("style:", 1).parts, ElementsAre(""));
  EXPECT_EQ(split_adapter_name(":word", 1).file, "");
}

TEST(AdapterName, ColonsOfAFileThatExistsDoNot) {
  const TemporaryFolder folder;
  const std::string file = folder / "a:b.safetensors", other = folder / "a";
  write_file(file, "");
  EXPECT_EQ(split_adapter_name(file, 1).file, file);
  EXPECT_THAT(split_adapter_name(file, 1).parts, IsEmpty());
  EXPECT_EQ(split_adapter_name(file + ":word", 1).file, file);
  EXPECT_THAT(split_adapter_name(file + ":word", 1).parts, ElementsAre("word"));
  EXPECT_EQ(split_adapter_name(file + ":0.5", 2).file, file);
  write_file(other, "");
  EXPECT_EQ(split_adapter_name(file, 1).file, file) << "the longest beginning";
  EXPECT_EQ(split_adapter_name(other + ":b.safetensors:2", 2).file, file);
  EXPECT_EQ(split_adapter_name(other + ":1:2", 2).file, other);
  EXPECT_THAT(split_adapter_name(other + ":1:2", 2).parts, ElementsAre("1", "2"));
}

}  // namespace
}  // namespace tempera
