#include "base/folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/files.h"

namespace tempera {
namespace {

TEST(NamesIn, AreThoseOfFilesAndFoldersSorted) {
  const TemporaryFolder folder;
  for (const char* name : {"b.txt", "a.txt", "c/inside.txt"}) write_file(folder / name, "");
  EXPECT_THAT(names_in(folder.path()), testing::ElementsAre("a.txt", "b.txt", "c"));
  EXPECT_THAT(names_in(folder / "a.txt"), testing::IsEmpty());
  EXPECT_THAT(names_in(folder / "none"), testing::IsEmpty());
}

}  // namespace
}  // namespace tempera
