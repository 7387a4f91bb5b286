// The only reader of JSON from outside: files of a model, requests. It is strict. It refuses text that another reader
// could understand differently (duplicate keys, text after the value), and text that would need too much time or
// memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tempera {

struct JsonLimits {
  size_t max_bytes = 25'000'000;  // the limit of the Hugging Face hub for the header of a safetensors file
  size_t max_values = 1'000'000;  // CLIP's tokenizer has 200,000; limits the memory to a few times max_bytes
  size_t max_elements = 65'536;   // of one array, which is one piece of memory: 1 MiB; CLIP's list of merges has 48,894
  size_t max_members = 65'536;    // of one object, for the same reason; CLIP's vocabulary has 49,408
  int max_depth = 64;             // nesting of objects and arrays
};

// Parses `text`. `what` names the source in messages: a path or "the request". Throws Error(bad_file, "'<what>' is not
// valid JSON: ...") for malformed text, invalid UTF-8, anything but white space after the value, a key twice in one
// object, and for text that exceeds `limits`.
nlohmann::json parse_json(std::string_view text, std::string_view what, const JsonLimits& limits = {});

// Reads a whole file. Throws Error(bad_file) with the path when the file is missing, unreadable, not a regular file, or
// longer than `max_bytes`, or when it is a failed download (base/file_kind.h).
std::string read_text_file(const std::filesystem::path& path, size_t max_bytes);

// read_text_file and parse_json.
nlohmann::json read_json_file(const std::filesystem::path& path, const JsonLimits& limits = {});

struct IntRange {  // inclusive
  int64_t min = std::numeric_limits<int64_t>::min();
  int64_t max = std::numeric_limits<int64_t>::max();
};

// Members of an object, with checked types. If the key is absent or its value is null, find_* return nothing and get_*
// throw. All throw Error(bad_file, "'<what>': ...") when `object` is no object, or the value has another type or is out
// of range. An integer must be written as one (8, not 8.0); a number may be an integer.
std::optional<int64_t> find_int(const nlohmann::json& object, std::string_view key, IntRange range,
                                std::string_view what);
std::optional<std::vector<int64_t>> find_ints(const nlohmann::json& object, std::string_view key, IntRange range,
                                              std::string_view what);
std::optional<double> find_number(const nlohmann::json& object, std::string_view key, std::string_view what);
std::optional<bool> find_bool(const nlohmann::json& object, std::string_view key, std::string_view what);
std::optional<std::string> find_string(const nlohmann::json& object, std::string_view key, std::string_view what);

int64_t get_int(const nlohmann::json& object, std::string_view key, IntRange range, std::string_view what);
std::vector<int64_t> get_ints(const nlohmann::json& object, std::string_view key, IntRange range,
                              std::string_view what);
double get_number(const nlohmann::json& object, std::string_view key, std::string_view what);
bool get_bool(const nlohmann::json& object, std::string_view key, std::string_view what);
std::string get_string(const nlohmann::json& object, std::string_view key, std::string_view what);

}  // namespace tempera
