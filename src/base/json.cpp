#include "base/json.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file_kind.h"

namespace tempera {
namespace {
using nlohmann::json;

// A key for a message: quoted, escaped, and cut if it is long.
std::string in_quotes(std::string_view key) {
  constexpr size_t kLongest = 100;
  return json(std::string(key.substr(0, kLongest))).dump(-1, ' ', false, json::error_handler_t::replace);
}

// Builds the value from the parser's events. The stack holds pointers into the value: a std::map never moves its
// elements, and an array only grows while its last element is complete, so no pointer on the stack is invalidated.
class Builder final : public nlohmann::json_sax<json> {
 public:
  explicit Builder(const JsonLimits& limits) : limits_(limits) {}

  bool null() override { return add(json()) != nullptr; }
  bool boolean(bool value) override { return add(json(value)) != nullptr; }
  bool number_integer(int64_t value) override { return add(json(value)) != nullptr; }
  bool number_unsigned(uint64_t value) override { return add(json(value)) != nullptr; }
  bool number_float(double value, const std::string&) override { return add(json(value)) != nullptr; }
  bool string(std::string& value) override { return add(json(std::move(value))) != nullptr; }
  bool binary(json::binary_t&) override { return reject("binary values are no JSON"); }
  bool start_object(size_t) override { return open(json::object()); }
  bool start_array(size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(std::string& name) override {
    auto& object = stack_.back()->get_ref<json::object_t&>();
    if (object.size() >= limits_.max_members)
      return reject(fmt::format("an object has more than {} members", limits_.max_members));
    const auto [place, is_new] = object.emplace(name, nullptr);
    member_ = &place->second;
    return is_new || reject(fmt::format("the key {} appears twice in one object", in_quotes(name)));
  }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) override {
    if (error.id == 406) return reject("a number is too large");
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ...; last read: '<all of it>'; expected ..."
    std::string_view text = error.what();
    if (const size_t at = text.find("at line"); at != std::string_view::npos) text.remove_prefix(at);
    return reject(std::string(text.substr(0, text.find("; last read"))));
  }

  json take() { return std::move(root_); }
  const std::string& problem() const { return problem_; }

 private:
  bool reject(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  json* add(json value) {
    if (++values_ > limits_.max_values) {
      reject(fmt::format("it has more than {} values", limits_.max_values));
      return nullptr;
    }
    json* place = &root_;
    if (!stack_.empty() && stack_.back()->is_array()) {
      auto& array = stack_.back()->get_ref<json::array_t&>();
      if (array.size() >= limits_.max_elements) {
        reject(fmt::format("an array has more than {} elements", limits_.max_elements));
        return nullptr;
      }
      array.push_back(nullptr);
      place = &array.back();
    } else if (!stack_.empty()) {
      place = member_;
    }
    *place = std::move(value);
    return place;
  }

  bool open(json empty) {
    if (std::cmp_greater_equal(stack_.size(), limits_.max_depth)) {
      return reject(fmt::format("it is nested more than {} levels deep", limits_.max_depth));
    }
    json* place = add(std::move(empty));
    if (place != nullptr) stack_.push_back(place);
    return place != nullptr;
  }

  bool close() {
    stack_.pop_back();
    return true;
  }

  const JsonLimits limits_;
  json root_;
  std::vector<json*> stack_;  // the open objects and arrays, the outermost first
  json* member_ = nullptr;    // the place of the value of the last key
  size_t values_ = 0;
  std::string problem_;
};

// The member `key`, or nullptr when absent or null.
const json* find(const json& object, std::string_view key, std::string_view what) {
  if (!object.is_object()) fail(ErrorCode::bad_file, "'{}': expected an object with the key {}", what, in_quotes(key));
  const auto at = object.find(key);
  return at == object.end() || at->is_null() ? nullptr : &*at;
}

int64_t checked_int(const json& value, std::string_view key, IntRange range, std::string_view what) {
  if (!value.is_number_integer()) {
    fail(ErrorCode::bad_file, "'{}': {} must be a whole number, not of type {}", what, in_quotes(key),
         value.type_name());
  }
  // nlohmann stores integers that are not negative as unsigned.
  if (value.is_number_unsigned() && !std::in_range<int64_t>(value.get<uint64_t>())) {
    fail(ErrorCode::bad_file, "'{}': {} is too large", what, in_quotes(key));
  }
  const auto number = value.get<int64_t>();
  if (number < range.min || number > range.max) {
    fail(ErrorCode::bad_file, "'{}': {} is {}, must be between {} and {}", what, in_quotes(key), number, range.min,
         range.max);
  }
  return number;
}

[[noreturn]] void fail_type(const json& value, std::string_view key, const char* expected, std::string_view what) {
  fail(ErrorCode::bad_file, "'{}': {} must be {}, not of type {}", what, in_quotes(key), expected, value.type_name());
}

template <class T>
T required(std::optional<T> value, std::string_view key, std::string_view what) {
  if (!value) fail(ErrorCode::bad_file, "'{}': {} is missing", what, in_quotes(key));
  return *std::move(value);
}
}  // namespace

json parse_json(std::string_view text, std::string_view what, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    fail(ErrorCode::bad_file, "'{}' is not valid JSON: its {} bytes are more than the {} allowed", what, text.size(),
         limits.max_bytes);
  }
  Builder builder(limits);
  if (!json::sax_parse(text, &builder)) {
    fail(ErrorCode::bad_file, "'{}' is not valid JSON: {}", what, builder.problem());
  }
  return builder.take();
}

std::string read_text_file(const std::filesystem::path& path, size_t max_bytes) {
  const auto reason = [] { return std::error_code(errno, std::generic_category()).message(); };
  struct Descriptor {
    int fd;
    ~Descriptor() {
      if (fd >= 0) ::close(fd);
    }
  };
  // Without O_NONBLOCK, opening a named pipe would wait for a writer.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) fail(ErrorCode::bad_file, "cannot open '{}': {}", path.string(), reason());
  struct stat info {};
  if (::fstat(file.fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    fail(ErrorCode::bad_file, "'{}' is not a regular file", path.string());
  }
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size > max_bytes) {
    fail(ErrorCode::bad_file, "'{}' has {} bytes, more than the {} that such a file may have", path.string(), size,
         max_bytes);
  }
  std::string text(size, '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = ::read(file.fd, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(ErrorCode::bad_file, "cannot read '{}': {}", path.string(), reason());
    if (count == 0) break;  // the file became shorter while it was read
    done += static_cast<size_t>(count);
  }
  text.resize(done);
  refuse_failed_downloads(std::string_view(text).substr(0, 64), path);
  return text;
}

json read_json_file(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_json(read_text_file(path, limits.max_bytes), path.string(), limits);
}

std::optional<int64_t> find_int(const json& object, std::string_view key, IntRange range, std::string_view what) {
  const json* value = find(object, key, what);
  if (value == nullptr) return std::nullopt;
  return checked_int(*value, key, range, what);
}

std::optional<std::vector<int64_t>> find_ints(const json& object, std::string_view key, IntRange range,
                                              std::string_view what) {
  const json* value = find(object, key, what);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array()) fail_type(*value, key, "a list of whole numbers", what);
  std::vector<int64_t> numbers;
  for (const json& element : *value) numbers.push_back(checked_int(element, key, range, what));
  return numbers;
}

std::optional<double> find_number(const json& object, std::string_view key, std::string_view what) {
  const json* value = find(object, key, what);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) fail_type(*value, key, "a number", what);
  return value->get<double>();
}

std::optional<bool> find_bool(const json& object, std::string_view key, std::string_view what) {
  const json* value = find(object, key, what);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) fail_type(*value, key, "true or false", what);
  return value->get<bool>();
}

std::optional<std::string> find_string(const json& object, std::string_view key, std::string_view what) {
  const json* value = find(object, key, what);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) fail_type(*value, key, "a string", what);
  return value->get<std::string>();
}

int64_t get_int(const json& object, std::string_view key, IntRange range, std::string_view what) {
  return required(find_int(object, key, range, what), key, what);
}

std::vector<int64_t> get_ints(const json& object, std::string_view key, IntRange range, std::string_view what) {
  return required(find_ints(object, key, range, what), key, what);
}

double get_number(const json& object, std::string_view key, std::string_view what) {
  return required(find_number(object, key, what), key, what);
}

bool get_bool(const json& object, std::string_view key, std::string_view what) {
  return required(find_bool(object, key, what), key, what);
}

std::string get_string(const json& object, std::string_view key, std::string_view what) {
  return required(find_string(object, key, what), key, what);
}

}  // namespace tempera
