// parse_json accepts exactly JSON within its limits. Errors of the getters name the key and the source.
#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace tempera {
namespace {
using nlohmann::json;
using testing::HasSubstr;

// The message of the Error(bad_file) that `call` throws; "" when it throws nothing.
std::string bad_file_message(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_file) << error.what();
    return error.what();
  }
  return "";
}

std::string problem(std::string_view text, const JsonLimits& limits = {}) {
  return bad_file_message([&] { parse_json(text, "x.json", limits); });
}

std::string nested(int depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "tempera-json-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

TEST(Json, KeepsWhatTheTextSays) {
  const char* text = R"( {"a": [1, -2, 3.5, true, false, null, "z\u00e9\n", {}, []], "b": {"c": {"d": [[], [1]]}},
                          "": 18446744073709551615} )";
  EXPECT_EQ(parse_json(text, "x"), json::parse(text));
  EXPECT_EQ(parse_json("7", "x"), json(7));
  EXPECT_EQ(parse_json("\"\xf0\x9f\x98\x80\"", "x"), json("\xf0\x9f\x98\x80"));
}

TEST(Json, SameKeyInDifferentObjectsIsFine) {
  EXPECT_EQ(parse_json(R"({"a": {"a": {"a": 1}}, "b": {"a": 2}})", "x")["b"]["a"], 2);
}

TEST(Json, RejectsMalformedText) {
  for (const char* text :
       {"",    " ",        "{",     "[1,]",  "{\"a\":1,}", "{a:1}",   "nul",         "01",       "1.",      "+1",
        "NaN", "Infinity", "[1] x", "{} {}", "'a'",        "\"\\q\"", "\"\\ud800\"", "\"a\nb\"", "// c\n1", "[1 2]"}) {
    EXPECT_THAT(problem(text), HasSubstr("'x.json' is not valid JSON: ")) << text;
  }
  EXPECT_THAT(problem("{\n  \"a\": tru }"), HasSubstr("line 2"));
}

TEST(Json, RejectsInvalidUtf8) {
  for (const char* bytes : {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80"}) {
    EXPECT_THAT(problem("\"" + std::string(bytes) + "\""), HasSubstr("is not valid JSON")) << bytes;
  }
}

TEST(Json, MessageIsShortAndCleanForLongTokens) {
  const std::string message = problem("\"" + std::string(100'000, 'a') + "\xff");
  EXPECT_LT(message.size(), 200u);
  EXPECT_EQ(message.find('\xff'), std::string::npos);
  EXPECT_LT(problem("{\"" + std::string(9000, 'k') + "\":1,\"" + std::string(9000, 'k') + "\":2}").size(), 300u);
}

TEST(Json, RejectsDuplicateKeys) {
  EXPECT_THAT(problem(R"({"a": 1, "b": 2, "a": 3})"), HasSubstr("the key \"a\" appears twice"));
  EXPECT_THAT(problem(R"({"a": 1, "\u0061": 3})"), HasSubstr("the key \"a\" appears twice"));
  EXPECT_THAT(problem(R"([{"o": {"k": [], "k": null}}])"), HasSubstr("the key \"k\" appears twice"));
}

TEST(Json, RejectsWhatExceedsTheLimits) {
  EXPECT_EQ(problem(nested(64)), "");
  EXPECT_THAT(problem(nested(65)), HasSubstr("nested more than 64"));
  EXPECT_THAT(problem(std::string(1'000'000, '[')), HasSubstr("nested more than 64"));
  EXPECT_EQ(problem("[1,2]", {.max_bytes = 5}), "");
  EXPECT_THAT(problem("[1,2] ", {.max_bytes = 5}), HasSubstr("its 6 bytes are more than the 5 allowed"));
  EXPECT_EQ(problem("[1,2]", {.max_values = 3}), "");
  EXPECT_THAT(problem("[1,2]", {.max_values = 2}), HasSubstr("more than 2 values"));
  EXPECT_EQ(problem(R"({"a":1})", {.max_members = 1}), "");
  EXPECT_THAT(problem(R"({"a":1,"b":2})", {.max_members = 1}), HasSubstr("an object has more than 1 members"));
  EXPECT_EQ(problem("[1,2]", {.max_elements = 2}), "");
  EXPECT_THAT(problem("[[1,2]]", {.max_elements = 1}), HasSubstr("an array has more than 1 elements"));
  EXPECT_THAT(problem("1e999"), HasSubstr("a number is too large"));
}

TEST(Json, GettersCheckTypeAndRange) {
  const json object = parse_json(
      R"({"i": 8, "neg": -1, "f": 8.0, "s": "t", "b": true, "n": null, "big": 9223372036854775808, "l": [1, 2]})", "x");
  EXPECT_EQ(get_int(object, "i", {1, 8}, "x"), 8);
  EXPECT_EQ(get_int(object, "neg", {}, "x"), -1);
  EXPECT_EQ(find_int(object, "absent", {}, "x"), std::nullopt);
  EXPECT_EQ(find_int(object, "n", {}, "x"), std::nullopt);
  EXPECT_EQ(get_number(object, "i", "x"), 8.0);
  EXPECT_EQ(get_number(object, "f", "x"), 8.0);
  EXPECT_EQ(get_string(object, "s", "x"), "t");
  EXPECT_EQ(get_bool(object, "b", "x"), true);
  EXPECT_EQ(get_ints(object, "l", {1, 2}, "x"), (std::vector<int64_t>{1, 2}));

  const auto message = [&](const auto& getter) { return bad_file_message([&] { getter(); }); };
  EXPECT_EQ(message([&] { get_int(object, "i", {9, 10}, "x"); }), "'x': \"i\" is 8, must be between 9 and 10");
  EXPECT_EQ(message([&] { get_int(object, "f", {}, "x"); }), "'x': \"f\" must be a whole number, not of type number");
  EXPECT_EQ(message([&] { get_int(object, "b", {}, "x"); }), "'x': \"b\" must be a whole number, not of type boolean");
  EXPECT_EQ(message([&] { get_int(object, "big", {}, "x"); }), "'x': \"big\" is too large");
  EXPECT_EQ(message([&] { get_int(object, "absent", {}, "x"); }), "'x': \"absent\" is missing");
  EXPECT_EQ(message([&] { get_ints(object, "l", {2, 9}, "x"); }), "'x': \"l\" is 1, must be between 2 and 9");
  EXPECT_NE(message([&] { get_ints(object, "i", {}, "x"); }), "");
  EXPECT_NE(message([&] { get_string(object, "i", "x"); }), "");
  EXPECT_NE(message([&] { get_bool(object, "i", "x"); }), "");
  EXPECT_NE(message([&] { get_number(object, "s", "x"); }), "");
  EXPECT_NE(message([&] { get_int(json::array(), "i", {}, "x"); }), "");
}

TEST(ReadTextFile, ReadsAllOrSaysWhyNot) {
  const TempFolder folder;
  std::ofstream(folder / "a.json") << "{\"a\": 1}";
  std::ofstream(folder / "empty") << "";
  EXPECT_EQ(read_text_file(folder / "a.json", 8), "{\"a\": 1}");
  EXPECT_EQ(read_text_file(folder / "empty", 0), "");
  EXPECT_EQ(read_json_file(folder / "a.json")["a"], 1);
  EXPECT_THAT(bad_file_message([&] { read_text_file(folder / "a.json", 7); }),
              HasSubstr("has 8 bytes, more than the 7"));
  EXPECT_THAT(bad_file_message([&] { read_text_file(folder / "none", 7); }), HasSubstr("No such file"));
  EXPECT_THAT(bad_file_message([&] { read_text_file(folder / "", 7); }), HasSubstr("not a regular file"));
  EXPECT_THAT(bad_file_message([&] { read_text_file("/dev/zero", 7); }), HasSubstr("not a regular file"));
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(bad_file_message([&] { read_text_file(folder / "pipe", 7); }), HasSubstr("not a regular file"));
  EXPECT_THAT(bad_file_message([&] { read_json_file(folder / "empty"); }), HasSubstr("is not valid JSON"));
}

}  // namespace
}  // namespace tempera
