#include "source/catalog/yaml.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"

namespace tempera {
namespace {

constexpr size_t kMaxBytes = 1 << 20;
constexpr int kMaxDepth = 16;
constexpr size_t kMaxMembers = 10'000;  // of all maps together
constexpr size_t npos = std::string_view::npos;

struct Line {
  int number;
  size_t indent;          // spaces before the text
  std::string_view text;  // the whole line, without its end
  std::string_view content() const { return text.substr(indent); }
  bool blank() const { return indent == text.size(); }
};

std::string_view trimmed_end(std::string_view text) {
  const size_t end = text.find_last_not_of(" \t");
  return text.substr(0, end == npos ? 0 : end + 1);
}

std::string_view trimmed_begin(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  return begin == npos ? std::string_view() : text.substr(begin);
}

bool is_comment(std::string_view text) {
  text = trimmed_begin(text);
  return text.empty() || text.front() == '#';
}

class Parser {
 public:
  Parser(std::string_view text, std::string_view what) : what_(what) { split(text); }

  YamlNode document() {
    skip_to_content();
    if (!at_end() && lines_[at_].indent == 0 && is_marker("---")) {
      if (!is_comment(lines_[at_].text.substr(3))) refuse(lines_[at_].number, "text after '---' is not supported");
      ++at_;
      skip_to_content();
    }
    YamlNode root;
    root.kind = YamlNode::Kind::map;
    if (!at_end()) parse_map(root, lines_[at_].indent, 1);
    if (!at_end()) refuse(lines_[at_].number, "the indentation fits no line before it");
    return root;
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(int line, fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorCode::bad_file, "'{}' line {}: {}", std::string(what_), line,
         fmt::format(format, std::forward<Args>(args)...));
  }

  void split(std::string_view text) {
    if (text.size() > kMaxBytes) fail(ErrorCode::bad_file, "'{}' is longer than {} bytes", what_, kMaxBytes);
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    for (int number = 1; !text.empty(); ++number) {
      const size_t end = std::min(text.find('\n'), text.size());
      std::string_view line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (line.ends_with('\r')) line.remove_suffix(1);
      const auto control = [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; };
      if (std::ranges::any_of(line, control)) refuse(number, "a control character is not allowed");
      if (valid_utf8(line) != line) refuse(number, "the text is not valid UTF-8");
      lines_.push_back({number, std::min(line.find_first_not_of(' '), line.size()), line});
    }
  }

  bool at_end() const { return at_ == lines_.size(); }

  // "---" or "...", alone or before a space.
  bool is_marker(std::string_view marker) const {
    const std::string_view text = lines_[at_].text;
    return text.starts_with(marker) && (text.size() == 3 || text[3] == ' ' || text[3] == '\t');
  }

  // To the next line that is neither blank nor a comment, or to the end.
  void skip_to_content() {
    while (!at_end() && is_comment(lines_[at_].content())) ++at_;
    if (at_end()) return;
    const Line& line = lines_[at_];
    if (line.content().front() == '\t') refuse(line.number, "indent with spaces, not with tabs");
    if (line.indent > 0) return;
    if (line.text.front() == '%') refuse(line.number, "directives are not supported");
    if (is_marker("...") || (at_ > 0 && root_seen_ && is_marker("---")))
      refuse(line.number, "several documents are not supported");
  }

  void parse_map(YamlNode& map, size_t indent, int depth) {
    if (depth > kMaxDepth) refuse(lines_[at_].number, "more than {} levels are not supported", kMaxDepth);
    root_seen_ = true;
    map.kind = YamlNode::Kind::map;
    while (!at_end() && lines_[at_].indent == indent) {
      const int number = lines_[at_].number;
      std::string_view rest = lines_[at_].content();
      std::string key = read_key(rest, number);
      if (map.find(key) != nullptr) refuse(number, "the key '{}' appears twice", key);
      if (++members_ > kMaxMembers) refuse(number, "more than {} keys are not supported", kMaxMembers);
      YamlNode value;
      value.line = number;
      ++at_;
      read_value(value, rest, indent, depth);
      map.members.push_back({std::move(key), std::move(value)});
      skip_to_content();
    }
    if (!at_end() && lines_[at_].indent > indent)
      refuse(lines_[at_].number, "the line is indented more than the lines before it, but belongs to none of them");
  }

  // Removes the key and its colon from `text`.
  std::string read_key(std::string_view& text, int number) const {
    if (text.front() == '"' || text.front() == '\'') {
      std::string key = read_quoted(text, number);
      text = trimmed_begin(text);
      if (!text.starts_with(':')) refuse(number, "':' is missing after the key '{}'", key);
      text.remove_prefix(1);
      if (!text.empty() && text.front() != ' ' && text.front() != '\t') refuse(number, "a space is missing after ':'");
      return key;
    }
    refuse_indicators(text, number);
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '#' && i > 0 && (text[i - 1] == ' ' || text[i - 1] == '\t')) break;
      if (text[i] != ':' || (i + 1 < text.size() && text[i + 1] != ' ' && text[i + 1] != '\t')) continue;
      std::string key(trimmed_end(text.substr(0, i)));
      text.remove_prefix(i + 1);
      return key;
    }
    refuse(number, "'{}' is no 'key: value'", cut(text));
  }

  // The value after a key's colon on the same line, or in the lines that follow.
  void read_value(YamlNode& value, std::string_view text, size_t indent, int depth) {
    text = trimmed_begin(text);
    if (is_comment(text)) {
      skip_to_content();
      if (!at_end() && lines_[at_].indent > indent) parse_map(value, lines_[at_].indent, depth + 1);
      return;
    }
    if (text.front() == '|' || text.front() == '>') return read_block(value, text, indent);
    value.kind = YamlNode::Kind::scalar;
    if (text.front() == '"' || text.front() == '\'') {
      value.plain = false;
      value.text = read_quoted(text, value.line);
      const bool comment = is_comment(text) && (text.empty() || text.front() == ' ' || text.front() == '\t');
      if (!comment) refuse(value.line, "text after a quoted value: '{}'", cut(text));
    } else {
      read_plain(value, text);
    }
    skip_to_content();
    if (!at_end() && lines_[at_].indent > indent)
      refuse(lines_[at_].number, "a value of several lines is not supported here: begin it with '|'");
  }

  void read_plain(YamlNode& value, std::string_view text) const {
    refuse_indicators(text, value.line);
    for (size_t i = 1; i < text.size(); ++i)
      if (text[i] == '#' && (text[i - 1] == ' ' || text[i - 1] == '\t')) text = text.substr(0, i);
    text = trimmed_end(text);
    if (text.find(": ") != npos || text.find(":\t") != npos || text.ends_with(':'))
      refuse(value.line, "'{}' has a ':' before a space: put the value in quotes", cut(text));
    if (text == "~" || text == "null" || text == "Null" || text == "NULL")
      value.kind = YamlNode::Kind::null;
    else
      value.text = text;
  }

  // The first character of a plain scalar.
  void refuse_indicators(std::string_view text, int number) const {
    const char first = text.front();
    const bool alone = text.size() == 1 || text[1] == ' ' || text[1] == '\t';
    if (first == '-' && alone) refuse(number, "lists are not supported: write one path a line after '|'");
    if ((first == '?' || first == ':') && alone) refuse(number, "'{}' is not supported here", first);
    if (std::string_view("&*!|>%@`,[]{}").find(first) != npos)
      refuse(number, "'{}' at the beginning is not supported: put the text in quotes", first);
  }

  // Removes the quoted text from `text`.
  std::string read_quoted(std::string_view& text, int number) const {
    const char quote = text.front();
    std::string result;
    for (size_t i = 1; i < text.size(); ++i) {
      if (text[i] == quote && quote == '\'' && i + 1 < text.size() && text[i + 1] == '\'') {
        result += '\'';
        ++i;
      } else if (text[i] == quote) {
        text.remove_prefix(i + 1);
        return result;
      } else if (text[i] == '\\' && quote == '"') {
        append_escape(result, text, ++i, number);
      } else {
        result += text[i];
      }
    }
    refuse(number, "a quoted text must end on the same line");
  }

  // `at` is that of the character after the backslash; moves it to the last one of the escape.
  void append_escape(std::string& result, std::string_view text, size_t& at, int number) const {
    constexpr std::string_view kFrom = "\\\"/ tnr0abefv", kTo("\\\"/ \t\n\r\0\a\b\x1b\f\v", 13);
    const char escape = at < text.size() ? text[at] : ' ';
    if (at < text.size() && kFrom.find(escape) != npos) {
      result += kTo[kFrom.find(escape)];
      return;
    }
    const size_t digits = escape == 'x' ? 2 : escape == 'u' ? 4 : escape == 'U' ? 8 : 0;
    char32_t code = 0;
    bool good = digits > 0 && at + digits < text.size();
    for (size_t i = 1; good && i <= digits; ++i) {
      constexpr std::string_view kHex = "0123456789abcdef";
      const char c = text[at + i];
      const size_t digit = kHex.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
      good = digit != npos;
      code = code * 16 + static_cast<char32_t>(digit);
    }
    if (!good || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
      refuse(number, "an escape in double quotes is not known: a backslash is written as \\\\");
    append_utf8(result, code);
    at += digits;
  }

  struct BlockHeader {
    bool folded = false;
    char chomping = ' ';           // '-': no line break at the end, '+': all of them, ' ': one
    std::optional<size_t> indent;  // relative to the key
  };

  BlockHeader read_block_header(std::string_view text, int number) const {
    BlockHeader header;
    header.folded = text.front() == '>';
    size_t i = 1;
    for (; i < text.size() && text[i] != ' ' && text[i] != '\t'; ++i) {
      if ((text[i] == '-' || text[i] == '+') && header.chomping == ' ')
        header.chomping = text[i];
      else if (text[i] >= '1' && text[i] <= '9' && !header.indent)
        header.indent = static_cast<size_t>(text[i] - '0');
      else
        refuse(number, "'{}' is no beginning of a block: write '|' alone", cut(text));
    }
    if (!is_comment(text.substr(i))) refuse(number, "text after '{}' belongs to the next line", text.front());
    return header;
  }

  void read_block(YamlNode& value, std::string_view text, size_t parent) {
    const BlockHeader header = read_block_header(text, value.line);
    value.kind = YamlNode::Kind::scalar;
    value.plain = false;
    size_t first = at_;
    while (first < lines_.size() && lines_[first].blank()) ++first;
    const size_t own = first < lines_.size() ? lines_[first].indent : 0;
    const size_t indent = header.indent ? parent + *header.indent : own;
    std::vector<std::string_view> content;
    for (; indent > parent && !at_end(); ++at_) {
      const Line& line = lines_[at_];
      if (!line.blank() && line.indent < indent) break;
      if (line.blank() && header.indent == std::nullopt && content.empty() && line.indent > indent)
        refuse(line.number, "an empty line before a block is indented more than the block");
      content.push_back(line.text.substr(std::min(indent, line.text.size())));
    }
    if (!at_end() && !lines_[at_].blank() && lines_[at_].indent > parent && !is_comment(lines_[at_].content()))
      refuse(lines_[at_].number, "the line is indented less than the block before it");
    size_t kept = content.size();
    while (kept > 0 && content[kept - 1].empty()) --kept;
    const size_t breaks = content.size() - kept;
    content.resize(kept);
    value.text = header.folded ? folded(content) : joined(content);
    if (kept > 0 && header.chomping != '-') value.text += '\n';
    if (header.chomping == '+') value.text.append(breaks, '\n');
  }

  static std::string joined(const std::vector<std::string_view>& lines) {
    std::string text;
    for (size_t i = 0; i < lines.size(); ++i) text.append(i == 0 ? "" : "\n").append(lines[i]);
    return text;
  }

  // A single line break becomes a space, and n + 1 of them become n. Breaks next to a line that begins with white space
  // stay.
  static std::string folded(const std::vector<std::string_view>& lines) {
    const auto spaced = [](std::string_view line) { return line.front() == ' ' || line.front() == '\t'; };
    std::string text;
    size_t breaks = 0;
    std::string_view before;
    for (const std::string_view line : lines) {
      if (line.empty()) {
        ++breaks;
        continue;
      }
      if (before.empty())
        text.append(breaks, '\n');
      else if (spaced(before) || spaced(line))
        text.append(breaks + 1, '\n');
      else
        text += breaks == 0 ? " " : std::string(breaks, '\n');
      text += line;
      before = line;
      breaks = 0;
    }
    return text;
  }

  static std::string cut(std::string_view text) {
    constexpr size_t kLongest = 60;
    return text.size() <= kLongest ? std::string(text) : valid_utf8(text.substr(0, kLongest)) + "...";
  }

  std::string_view what_;
  std::vector<Line> lines_;
  size_t at_ = 0, members_ = 0;
  bool root_seen_ = false;
};

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  const auto at = std::ranges::find(members, key, &YamlMember::key);
  return at == members.end() ? nullptr : &at->value;
}

YamlNode parse_yaml(std::string_view text, std::string_view what) {
  return Parser(text, what).document();
}

}  // namespace tempera
