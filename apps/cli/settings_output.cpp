#include "settings_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace tempera::cli {
namespace {

using nlohmann::ordered_json;

bool repeats(std::string_view name) {
  const auto fields = request_fields();
  const auto field = std::ranges::find(fields, name, &Field::name);
  return field != fields.end() && field->has(FieldTrait::repeats);
}

// Lines after the first one are indented. Other control characters than tab are shown as '?', because the texts of a
// picture are from anywhere.
std::string indented(const std::string& text, size_t columns) {
  std::string result;
  for (const char c : text) {
    if (c == '\n')
      result.append("\n").append(columns, ' ');
    else
      result += (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7F' ? '?' : c;
  }
  return result;
}

}  // namespace

std::string settings_text(const PictureSettings& settings) {
  size_t width = std::string_view("program").size();
  for (const FieldText& value : settings.fields) width = std::max(width, value.field.size());
  const auto line = [width](const std::string& name, const std::string& text) {
    return fmt::format("{:<{}}  {}\n", name, width, indented(text, width + 2));
  };
  std::string text = line("program", settings.program);
  for (const FieldText& value : settings.fields) text += line(value.field, value.text);
  if (!settings.hashes.empty()) text += "\nhashes\n";
  for (const RecordedHash& hash : settings.hashes)
    text += fmt::format("  {} {}: {}\n", hash.field, indented(hash.name, 2), indented(hash.hash, 2));
  if (!settings.remarks.empty()) text += "\nremarks\n";
  for (const std::string& remark : settings.remarks) text += fmt::format("  {}\n", indented(remark, 2));
  if (!settings.unused.empty()) text += "\nwithout a field\n";
  for (const auto& [name, value] : settings.unused)
    text += fmt::format("  {}: {}\n", indented(name, 2), indented(value, 4));
  return text;
}

ordered_json settings_json(const PictureSettings& settings) {
  ordered_json fields = ordered_json::object(), hashes = ordered_json::array(), unused = ordered_json::object();
  for (const FieldText& value : settings.fields) {
    if (repeats(value.field))
      fields[value.field].push_back(value.text);
    else
      fields[value.field] = value.text;
  }
  for (const RecordedHash& hash : settings.hashes)
    hashes.push_back({{"field", hash.field}, {"name", hash.name}, {"hash", hash.hash}});
  for (const auto& [name, value] : settings.unused) unused[name] = value;
  return {{"program", settings.program},
          {"fields", fields},
          {"hashes", hashes},
          {"remarks", settings.remarks},
          {"unused", unused}};
}

}  // namespace tempera::cli
