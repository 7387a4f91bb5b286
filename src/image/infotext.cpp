#include "image/infotext.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace tempera {
namespace {
constexpr std::string_view kNegative = "Negative prompt:";
constexpr size_t kFewestValues = 3;  // fewer, and the last line belongs to the prompt

constexpr std::array<std::string_view, 17> kFirstKeys{"Steps",
                                                      "Sampler",
                                                      "Schedule type",
                                                      "CFG scale",
                                                      "Seed",
                                                      "Size",
                                                      "Model hash",
                                                      "Model",
                                                      "VAE hash",
                                                      "VAE",
                                                      "Variation seed",
                                                      "Variation seed strength",
                                                      "Denoising strength",
                                                      "Clip skip",
                                                      "ENSD",
                                                      "RNG",
                                                      "Tiling"};
constexpr std::string_view kLastKey = "Version";

size_t place_of(std::string_view key) {
  if (key == kLastKey) return kFirstKeys.size() + 1;
  return static_cast<size_t>(std::find(kFirstKeys.begin(), kFirstKeys.end(), key) - kFirstKeys.begin());
}

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

std::string_view strip(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// The first and the other characters of a key: \w and [\w \-/], where every byte beyond ASCII counts as \w.
bool starts_key(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80) != 0;
}
bool continues_key(char c) {
  return starts_key(c) || c == ' ' || c == '-' || c == '/';
}

std::string quote(const std::string& value) {
  const auto risky = [](char c) { return c == ',' || c == ':' || c == '"' || static_cast<unsigned char>(c) < ' '; };
  const bool plain = !value.empty() && value[0] != '{' && value[0] != '[' && strip(value).size() == value.size() &&
                     std::none_of(value.begin(), value.end(), risky);
  if (plain) return value;
  return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// The end of the JSON string that starts at `at`, or npos.
size_t string_end(std::string_view line, size_t at) {
  for (++at; at < line.size(); ++at) {
    if (line[at] == '\\') {
      ++at;
    } else if (line[at] == '"') {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

// The end of the object or list that starts at `at`, as some programs append them, or npos.
size_t brackets_end(std::string_view line, size_t at) {
  int depth = 0;
  while (at < line.size()) {
    const char c = line[at];
    if (c == '"') {
      at = string_end(line, at);
      if (at == std::string_view::npos) break;
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    ++at;
    if (depth == 0) return at;
  }
  return std::string_view::npos;
}

std::string unquote(std::string_view value) {
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::string(value);
  const auto text = nlohmann::json::parse(value, nullptr, false);
  return text.is_string() ? text.get<std::string>() : std::string(value);
}

// Reads the values of one line: from a key with a colon to the next comma outside quotes and brackets. A search for the
// end of a bracket that fails is not repeated, so that the time stays linear.
class ValueScanner {
 public:
  explicit ValueScanner(std::string_view line) : line_(line) {}

  std::vector<std::pair<std::string, std::string>> scan() {
    std::vector<std::pair<std::string, std::string>> values;
    while (at_ < line_.size()) {
      if (!starts_key(line_[at_])) {
        ++at_;
        continue;
      }
      const size_t begin = at_;
      while (at_ < line_.size() && continues_key(line_[at_])) ++at_;
      const std::string_view key = strip(line_.substr(begin, at_ - begin));
      if (at_ == line_.size() || line_[at_] != ':' || key.size() < 2) continue;
      ++at_;
      while (at_ < line_.size() && is_space(line_[at_])) ++at_;
      values.emplace_back(key, read_value());
    }
    return values;
  }

 private:
  std::string read_value() {
    const size_t begin = at_;
    size_t end = std::string_view::npos;
    if (begin < line_.size() && line_[begin] == '"') end = closed_value(string_end, strings_close_);
    if (begin < line_.size() && (line_[begin] == '{' || line_[begin] == '['))
      end = closed_value(brackets_end, brackets_close_);
    if (end == std::string_view::npos) end = std::min(line_.find(',', begin), line_.size());
    const std::string_view value = strip(line_.substr(begin, end - begin));
    at_ = std::min(line_.find(',', end), line_.size());
    return unquote(value);
  }

  // The end of the quoted or bracketed value here, if a comma or the end of the text follows.
  size_t closed_value(size_t (*find_end)(std::string_view, size_t), bool& close) const {
    const size_t end = close ? find_end(line_, at_) : std::string_view::npos;
    size_t next = end;
    while (next < line_.size() && is_space(line_[next])) ++next;
    const bool is_value = end != std::string_view::npos && (next == line_.size() || line_[next] == ',');
    // A string ends before the next one begins, so that only one without an end is searched for in vain.
    close = is_value || (end != std::string_view::npos && line_[at_] == '"');
    return is_value ? end : std::string_view::npos;
  }

  std::string_view line_;
  size_t at_ = 0;
  bool strings_close_ = true, brackets_close_ = true;
};

// The parts of "512x768".
std::optional<std::pair<std::string, std::string>> split_size(std::string_view value) {
  const size_t x = value.find('x');
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  if (x == std::string_view::npos || !digits(value.substr(0, x)) || !digits(value.substr(x + 1))) return std::nullopt;
  return std::pair(std::string(value.substr(0, x)), std::string(value.substr(x + 1)));
}
}  // namespace

std::optional<std::string> Infotext::find(std::string_view key) const {
  const bool first = key.ends_with("-1");
  const std::string_view whole = first || key.ends_with("-2") ? key.substr(0, key.size() - 2) : std::string_view();
  for (size_t i = values.size(); i-- > 0;) {
    if (values[i].first == key) return values[i].second;
    if (values[i].first == whole) {
      if (auto parts = split_size(values[i].second)) return first ? parts->first : parts->second;
    }
  }
  if (key == "Clip skip") return "1";
  if (key == "RNG") return "GPU";
  if (key == "Schedule type") return "Automatic";
  return std::nullopt;
}

std::string format_infotext(const Infotext& info) {
  std::string text = info.prompt;
  if (!info.negative_prompt.empty()) text.append("\n").append(kNegative).append(" ").append(info.negative_prompt);
  auto values = info.values;
  std::stable_sort(values.begin(), values.end(),
                   [](const auto& a, const auto& b) { return place_of(a.first) < place_of(b.first); });
  const char* separator = "\n";
  for (const auto& [key, value] : values) {
    TEMPERA_ASSERT(key.size() >= 2 && starts_key(key[0]) && std::all_of(key.begin(), key.end(), continues_key) &&
                   key.back() != ' ');
    text.append(separator).append(key).append(": ").append(quote(value));
    separator = ", ";
  }
  return text;
}

Infotext parse_infotext(std::string_view text) {
  Infotext info;
  text = strip(text);
  const size_t last = text.rfind('\n') + 1;  // 0 when there is one line only
  info.values = ValueScanner(text.substr(last)).scan();
  if (info.values.size() < kFewestValues) {
    info.values.clear();
  } else {
    text = text.substr(0, last > 0 ? last - 1 : 0);
  }
  std::string* target = &info.prompt;
  for (size_t begin = 0, end = 0; end < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    std::string_view line = strip(text.substr(begin, end - begin));
    while (line.starts_with(kNegative)) {
      target = &info.negative_prompt;
      line = strip(line.substr(kNegative.size()));
    }
    if (!target->empty()) *target += '\n';
    *target += line;
  }
  return info;
}

}  // namespace tempera
