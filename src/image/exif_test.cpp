#include "image/exif.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

namespace tempera {
namespace {
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

// A TIFF structure in either byte order.
class Writer {
 public:
  explicit Writer(bool big_endian) : big_endian_(big_endian) { text_ = big_endian ? "MM" : "II", number(42, 2); }

  Writer& number(uint32_t value, int count) {
    for (int i = 0; i < count; ++i) text_ += static_cast<char>(value >> 8 * (big_endian_ ? count - 1 - i : i));
    return *this;
  }
  Writer& entry(uint32_t tag, uint32_t type, uint32_t count) { return number(tag, 2).number(type, 2).number(count, 4); }
  Writer& raw(const std::string& bytes) {
    text_ += bytes;
    return *this;
  }
  std::string text() const { return text_; }

 private:
  bool big_endian_;
  std::string text_;
};

Exif parse(const std::string& text) {
  return parse_exif(std::as_bytes(std::span(text)));
}

std::string with_orientation(bool big_endian, uint32_t type, uint32_t value, uint32_t count = 1) {
  const int bytes = type == 3 ? 2 : type == 4 ? 4 : 1;
  Writer writer(big_endian);
  writer.number(8, 4).number(1, 2).entry(274, type, count).number(value, bytes).raw(std::string(4 - bytes, '\0'));
  return writer.number(0, 4).text();
}

// The comment in the EXIF folder, as the standard says.
std::string with_comment(bool big_endian, const std::string& comment) {
  Writer writer(big_endian);
  writer.number(8, 4).number(1, 2).entry(34665, 4, 1).number(26, 4).number(0, 4);
  writer.number(1, 2).entry(37510, 7, static_cast<uint32_t>(comment.size())).number(44, 4).number(0, 4);
  return writer.raw(comment).text();
}

std::string comment_of(const std::string& comment, bool big_endian = false) {
  const Exif exif = parse(with_comment(big_endian, comment));
  return exif.text.empty() ? "" : exif.text[0].second;
}

std::string utf16(std::u16string_view text, bool big_endian) {
  std::string bytes;
  for (const char16_t unit : text) {
    const char high = static_cast<char>(unit >> 8), low = static_cast<char>(unit);
    bytes += big_endian ? std::string{high, low} : std::string{low, high};
  }
  return bytes;
}

const std::string kUnicode("UNICODE\0", 8);

TEST(Exif, Orientation) {
  for (const bool big_endian : {false, true}) {
    for (const uint32_t type : {1, 3, 4}) {
      for (uint32_t value = 1; value <= 8; ++value)
        EXPECT_EQ(parse(with_orientation(big_endian, type, value)).orientation, static_cast<int>(value));
    }
  }
  EXPECT_EQ(parse(std::string("Exif\0\0Exif\0\0", 12) + with_orientation(true, 3, 6)).orientation, 6);
  EXPECT_EQ(parse("").orientation, std::nullopt);
  EXPECT_EQ(parse(with_comment(true, "x")).orientation, std::nullopt);
  EXPECT_EQ(parse(with_orientation(false, 3, 6, 2)).orientation, 0);  // two values: none of the eight
  EXPECT_EQ(parse(with_orientation(false, 2, 6)).orientation, 0);     // a text
}

TEST(Exif, CommentInItsCharacterSets) {
  for (const bool big_endian : {false, true}) {
    EXPECT_EQ(comment_of(std::string("ASCII\0\0\0a cat", 13), big_endian), "a cat");
    EXPECT_EQ(comment_of(std::string("\0\0\0\0\0\0\0\0caf\xC3\xA9   ", 16), big_endian), "caf\u00E9");
    EXPECT_EQ(comment_of("{\"prompt\": \"no character set\"}", big_endian), "{\"prompt\": \"no character set\"}");
    EXPECT_EQ(comment_of(std::string("JIS\0\0\0\0\0abc", 11), big_endian), "");
    EXPECT_EQ(comment_of(std::string("ASCII\0\0\0ab\xFF", 11), big_endian), "ab\uFFFD");
    EXPECT_EQ(comment_of(std::string("\0\0\0\0\0\0\0\0      ", 14), big_endian), "");
    // Both byte orders in structures of both.
    for (const bool text_order : {false, true}) {
      EXPECT_EQ(comment_of(kUnicode + utf16(u"Steps: 20 \u2615\U0001F600", text_order), big_endian),
                "Steps: 20 \u2615\U0001F600");
      EXPECT_EQ(comment_of(kUnicode + utf16(u"\uFEFF\u732B", text_order), big_endian), "\u732B");
    }
    EXPECT_EQ(comment_of(kUnicode + utf16(u"\u732B", big_endian), big_endian), "\u732B");
  }
}

TEST(Exif, IllFormedUtf16IsRepaired) {
  EXPECT_EQ(comment_of(kUnicode + utf16(std::u16string{u'a', 0xD800, u'b', u'c', 0xDC00, 0xD83D}, true)),
            "a\uFFFDbc\uFFFD\uFFFD");
  EXPECT_EQ(comment_of(kUnicode + utf16(std::u16string{u'a', u'b', 0, 0}, false) + "x"), "ab");
  EXPECT_EQ(comment_of(kUnicode), "");
}

TEST(Exif, TextsOfTheFirstFolder) {
  // ComfyUI stores its graph in Make and Model; Fooocus the comment as a text of the first folder.
  Writer writer(true);
  writer.number(8, 4).number(3, 2).entry(271, 2, 12).number(50, 4).entry(272, 2, 4).raw(std::string("p:3\0", 4));
  writer.entry(37510, 2, 5).number(62, 4).number(0, 4).raw("workflow:{}\0").raw(std::string(1, '\0')).raw("{...}");
  EXPECT_THAT(parse(writer.text()).text,
              ElementsAre(Pair("Make", "workflow:{}"), Pair("Model", "p:3"), Pair("UserComment", "{...}")));
}

TEST(Exif, DamagedStructuresGiveWhatIsThere) {
  const std::string whole = with_comment(true, kUnicode + utf16(u"text", true));
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_THAT(parse(whole.substr(0, size)).text, IsEmpty()) << size;
  // A folder that is its own EXIF folder, and one that begins at the end.
  EXPECT_THAT(parse(Writer(false).number(8, 4).number(1, 2).entry(34665, 4, 1).number(8, 4).text()).text, IsEmpty());
  EXPECT_THAT(parse(Writer(false).number(8, 4).text()).text, IsEmpty());
  EXPECT_THAT(parse(Writer(false).number(0xFFFFFFFF, 4).number(9, 4).text()).text, IsEmpty());
  // The count of entries is larger than the structure.
  EXPECT_EQ(parse(Writer(false).number(8, 4).number(65535, 2).entry(274, 3, 1).number(5, 4).text()).orientation, 5);
  std::mt19937 random(3);
  for (int i = 0; i < 20000; ++i) {
    std::string flipped = whole;
    for (int bit = 0; bit < 3; ++bit) flipped[random() % whole.size()] ^= static_cast<char>(1U << random() % 8);
    parse(flipped);
  }
}

}  // namespace
}  // namespace tempera
