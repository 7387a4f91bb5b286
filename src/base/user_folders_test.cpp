#include "base/user_folders.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace tempera {
namespace {

class UserFolders : public testing::Test {
 protected:
  UserFolders() {
    setenv("HOME", "/users/ann", 1);
    for (const char* variable : {"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"}) unsetenv(variable);
  }
};

TEST_F(UserFolders, AreInTheHomeFolder) {
  EXPECT_EQ(cache_folder(), "/users/ann/.cache");
  EXPECT_EQ(config_folder(), "/users/ann/.config");
  EXPECT_EQ(data_folder(), "/users/ann/.local/share");
}

TEST_F(UserFolders, AreWhereTheirVariablesSay) {
  setenv("XDG_CACHE_HOME", "/c", 1);
  setenv("XDG_CONFIG_HOME", "relative", 1);
  EXPECT_EQ(cache_folder(), "/c");
  EXPECT_EQ(config_folder(), "/users/ann/.config") << "a relative path is ignored";
}

TEST_F(UserFolders, AreUnknownWithoutHome) {
  unsetenv("HOME");
  EXPECT_EQ(cache_folder(), "");
  EXPECT_EQ(expand_home("~/x"), "~/x");
}

TEST_F(UserFolders, HomeIsExpandedAtTheBeginning) {
  EXPECT_EQ(expand_home("~"), "/users/ann");
  EXPECT_EQ(expand_home("~/models"), "/users/ann/models");
  EXPECT_EQ(expand_home("~bob/models"), "~bob/models");
  EXPECT_EQ(expand_home("a/~"), "a/~");
}

}  // namespace
}  // namespace tempera
