#include "base/error.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tempera {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> names(const Message& message) {
  std::vector<std::string> found;
  for (const Message::Mention& mention : message.mentions)
    found.push_back(message.text.substr(mention.begin, mention.length));
  return found;
}

std::string as_flag(std::string_view name) {
  return "--" + std::string(name);
}

TEST(Messages, SayWhereTheyNameFields) {
  const Message message = make_message("{} is {}: give {} or more", FieldName{"steps"}, 0, 1);
  EXPECT_EQ(message.text, "steps is 0: give 1 or more");
  EXPECT_THAT(message.mentions, ElementsAre(Message::Mention{0, 5}));
  EXPECT_EQ(spelled(message, as_flag), "--steps is 0: give 1 or more");
  const Message two = make_message("give {} or {}", FieldName{"width"}, FieldName{"height"});
  EXPECT_THAT(names(two), ElementsAre("width", "height"));
  EXPECT_EQ(spelled(two, [](std::string_view) { return ""; }), "give  or ");
}

TEST(Messages, WithoutFieldsStayAsTheyAre) {
  const Message message = make_message("'{}' is truncated", "steps");
  EXPECT_THAT(message.mentions, IsEmpty());
  EXPECT_EQ(spelled(message, as_flag), "'steps' is truncated");
  EXPECT_EQ(spelled({}, as_flag), "");
  EXPECT_EQ(spelled(make_message("a {{brace}}"), as_flag), "a {brace}");
}

// Names of files can contain any byte but zero. Strings of a caller can contain zeros too.
TEST(Messages, LeaveTextOfTheUserAlone) {
  using namespace std::string_literals;
  for (const std::string& text :
       {"width"s, "\1\1\1\1\1"s, "\1width\1"s, "--width {}"s, "a\0width"s, "\xff`width`"s, ""s}) {
    const Message message = make_message("{}{}{}", text, FieldName{"width"}, text);
    EXPECT_EQ(message.text, fmt::format("{0}width{0}", text));
    EXPECT_THAT(message.mentions, ElementsAre(Message::Mention{text.size(), 5}));
    EXPECT_EQ(spelled(message, as_flag), fmt::format("{0}--width{0}", text));
  }
}

TEST(Messages, KeepTheMarksOfAMessageInThem) {
  const Message inner = make_message("'{}': give {} more", "width", FieldName{"memory_budget"});
  const Message outer = make_message("{} (for {}x{}, {})", inner, 8, 16, FieldName{"dtype"});
  EXPECT_EQ(outer.text, "'width': give memory_budget more (for 8x16, dtype)");
  EXPECT_EQ(spelled(outer, as_flag), "'width': give --memory_budget more (for 8x16, --dtype)");
}

TEST(Errors, CarryTheirMessage) {
  try {
    fail(ErrorCode::bad_file, "{} is one of {}", FieldName{"rng"}, fmt::join({"cpu", "rng"}, ", "));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_file);
    EXPECT_STREQ(error.what(), "rng is one of cpu, rng");
    EXPECT_EQ(spelled(error.message(), as_flag), "--rng is one of cpu, rng");
  }
  const Error plain(ErrorCode::io, "width is plain text");
  EXPECT_STREQ(plain.what(), "width is plain text");
  EXPECT_EQ(spelled(plain.message(), as_flag), "width is plain text");
}

}  // namespace
}  // namespace tempera
