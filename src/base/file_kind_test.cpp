// Files that hold a web page, a pointer or an error message under the name of another thing.
#include "base/file_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace tempera {
namespace {
using testing::AllOf;
using testing::HasSubstr;

std::string refusal(std::string_view bytes) {
  try {
    refuse_failed_downloads(bytes, "a/model.safetensors");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_file);
    return error.what();
  }
  return "";
}

TEST(FileKind, FailedDownloadsAreNamed) {
  for (const char* page :
       {"<!DOCTYPE html><html>", "\n\t <html lang=\"en\">", "\xEF\xBB\xBF<!doctype HTML>", "<?xml version"})
    EXPECT_THAT(refusal(page), AllOf(HasSubstr("'a/model.safetensors' is a web page"), HasSubstr("download"))) << page;
  EXPECT_THAT(refusal("version https://git-lfs.github.com/spec/v1\n"), HasSubstr("git lfs pull"));
  for (const char* text : {"Access to model x/y is restricted.", "Invalid username or password.", "Entry not found"})
    EXPECT_THAT(refusal(text), AllOf(HasSubstr("error message"), HasSubstr("login"))) << text;
}

TEST(FileKind, OtherFilesPass) {
  using namespace std::string_literals;
  for (const std::string& bytes :
       {""s, "{}"s, "  {\"a\": 1}"s, "#version: 0.2\n<a b"s, "\x40\0\0\0\0\0\0\0{\"a\""s, "GGUF"s, "<|startoftext|>"s})
    EXPECT_EQ(refusal(bytes), "");
}

}  // namespace
}  // namespace tempera
