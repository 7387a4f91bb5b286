// Which program wrote the settings of a picture, and the pieces that all of them share.
#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "image/picture_metadata.h"
#include "pipeline/settings_reader.h"

namespace tempera {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

const std::string* find_text(const PictureText& text, std::string_view keyword) {
  for (const auto& [name, value] : text)
    if (name == keyword) return &value;
  return nullptr;
}

// The object in the text; nothing if it is no JSON object.
std::optional<json> object_in(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos || text[begin] != '{') return std::nullopt;
  try {
    json value = parse_json(text, "the picture");
    return value.is_object() ? std::optional(std::move(value)) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<json> object_in(const std::string* text) {
  return text == nullptr ? std::nullopt : object_in(*text);
}

// A graph of ComfyUI. In WebP files it is in an EXIF tag such as Make, after "prompt:" or "workflow:".
std::optional<json> graph_in(const PictureText& text, std::string_view keyword) {
  if (auto graph = object_in(find_text(text, keyword))) return graph;
  for (const auto& [name, value] : text)
    if (value.starts_with(keyword) && value.find(':') == keyword.size())
      if (auto graph = object_in(std::string_view(value).substr(keyword.size() + 1))) return graph;
  return std::nullopt;
}

}  // namespace

std::optional<PictureSettings> settings_of(const PictureText& text) {
  if (const auto metadata = object_in(find_text(text, "invokeai_metadata")))
    if (auto settings = invokeai_settings(*metadata)) return settings;
  // A comment is the parameters of a JPEG or WebP file.
  for (const std::string_view keyword : {kParametersKeyword, std::string_view("UserComment")}) {
    const std::string* parameters = find_text(text, keyword);
    if (const auto object = object_in(parameters)) {
      if (auto settings = fooocus_settings(*object)) return settings;
    } else if (parameters != nullptr) {
      if (auto settings = infotext_settings(*parameters)) return settings;
    }
  }
  if (const auto graph = graph_in(text, "prompt"))
    if (auto settings = comfyui_settings(*graph)) return settings;
  if (const auto workflow = graph_in(text, "workflow")) return comfyui_workflow_settings(*workflow);
  return std::nullopt;
}

bool is_picture_file(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return false;
  std::array<char, 12> begin{};
  std::ifstream file(path, std::ios::binary);
  file.read(begin.data(), begin.size());
  const std::string_view bytes(begin.data(), begin.size());
  return bytes.starts_with("\x89PNG\r\n\x1A\n") || bytes.starts_with("\xFF\xD8\xFF") ||
         (bytes.starts_with("RIFF") && bytes.ends_with("WEBP"));
}

PictureSettings read_settings(const fs::path& picture) {
  const MappedFile file(picture);
  if (auto settings = settings_of(read_picture_text(file.bytes(), picture.string()))) return *std::move(settings);
  fail(ErrorCode::bad_file,
       "'{}' has no settings of tempera, A1111, stable-diffusion.cpp, ComfyUI, InvokeAI or Fooocus: give the file as "
       "the program wrote it, because many sites and editors remove settings",
       picture.string());
}

void set_field(PictureSettings& settings, std::string_view field, std::string text) {
  const auto same = [field](const FieldText& entry) { return entry.field == field; };
  if (const auto found = std::ranges::find_if(settings.fields, same); found != settings.fields.end())
    found->text = std::move(text);
  else
    add_field(settings, field, std::move(text));
}

void add_field(PictureSettings& settings, std::string_view field, std::string text) {
  settings.fields.push_back({std::string(field), std::move(text)});
}

const std::string* find_field(const PictureSettings& settings, std::string_view field) {
  const auto same = [field](const FieldText& entry) { return entry.field == field; };
  const auto found = std::ranges::find_if(settings.fields, same);
  return found == settings.fields.end() ? nullptr : &found->text;
}

std::string lora_text(std::string_view name, std::string_view weight, std::string_view text_weight) {
  return weight == text_weight ? fmt::format("{}:{}", name, weight)
                               : fmt::format("{}:{}:{}", name, weight, text_weight);
}

std::string joined_list(const std::vector<std::string>& entries) {
  const auto ambiguous = [](const std::string& entry) {
    const auto invisible = [](unsigned char c) { return c < ' '; };
    return entry.empty() || entry.find(", ") != std::string::npos || entry.front() == '[' || entry.back() == ',' ||
           std::ranges::any_of(entry, invisible);
  };
  if (std::ranges::any_of(entries, ambiguous))
    return json(entries).dump(-1, ' ', false, json::error_handler_t::replace);
  std::string text;
  for (const std::string& entry : entries) text.append(text.empty() ? "" : ", ").append(entry);
  return text;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> entries;
  if (text.starts_with('[')) {
    const json list = json::parse(text, nullptr, false);
    const auto is_text = [](const json& entry) { return entry.is_string(); };
    if (list.is_array() && std::ranges::all_of(list, is_text)) return list.get<std::vector<std::string>>();
  }
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(", ", begin), text.size());
    entries.emplace_back(text.substr(begin, end - begin));
    begin = end + 2;
  }
  return entries;
}

void add_hashes(PictureSettings& settings, std::string_view field, std::string_view text) {
  for (const std::string& entry : split_list(text)) {
    const size_t colon = entry.rfind(": ");
    if (colon == std::string::npos) continue;
    std::string hash = entry.substr(colon + 2);
    std::ranges::transform(hash, hash.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    settings.hashes.push_back({std::string(field), entry.substr(0, colon), std::move(hash)});
  }
}

}  // namespace tempera
