#include "source/catalog/import_paths.h"

#include <algorithm>
#include <cctype>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/user_folders.h"
#include "source/catalog/yaml.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxBytes = 1 << 20;

// $NAME and ${NAME} replaced by their values; variables that are not set stay as they are.
std::string expand_variables(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const bool braces = text.substr(i).starts_with("${");
    const size_t begin = i + (braces ? 2 : 1);
    size_t end = begin;
    const auto is_part = [&](unsigned char c) { return braces ? c != '}' : std::isalnum(c) != 0 || c == '_'; };
    if (text[i] == '$')
      while (end < text.size() && is_part(static_cast<unsigned char>(text[end]))) ++end;
    const bool complete = end > begin && (!braces || end < text.size());
    const std::string value =
        complete ? environment(std::string(text.substr(begin, end - begin)).c_str()) : std::string();
    if (value.empty()) {
      result += text[i++];
      continue;
    }
    result += value;
    i = end + (braces ? 1 : 0);
  }
  return result;
}

class Section {
 public:
  Section(const std::string& name, const YamlNode& node, std::string_view what, const fs::path& folder)
      : name_(name), what_(what) {
    base_ = folder;
    if (const YamlNode* base = node.find("base_path"); base != nullptr && base->kind != YamlNode::Kind::null)
      base_ = folder / expand_home(expand_variables(scalar("base_path", *base)));
    if (const YamlNode* mark = node.find("is_default")) is_default_ = truth(*mark);
    for (const auto& [key, value] : node.members) add(key, value);
  }

  bool is_default() const { return is_default_; }
  const std::vector<ModelFolder>& folders() const { return folders_; }

 private:
  const std::string& scalar(std::string_view key, const YamlNode& value) const {
    if (value.kind != YamlNode::Kind::scalar)
      fail(ErrorCode::bad_file, "'{}' line {}: {} of '{}' is no text: give a path", what_, value.line, key, name_);
    if (value.text.find('\0') != std::string::npos)
      fail(ErrorCode::bad_file, "'{}' line {}: {} of '{}' has a zero byte: give a path", what_, value.line, key, name_);
    return value.text;
  }

  bool truth(const YamlNode& value) const {
    std::string text = value.kind == YamlNode::Kind::scalar ? value.text : "";
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (text == "true" || text == "yes" || text == "on") return true;
    if (text == "false" || text == "no" || text == "off") return false;
    fail(ErrorCode::bad_file, "'{}' line {}: is_default of '{}' is neither true nor false", what_, value.line, name_);
  }

  void add(const std::string& key, const YamlNode& value) {
    const std::string_view kind = tree_folder_kind(key);
    if (kind.empty() || value.kind == YamlNode::Kind::null) return;
    std::string_view lines = scalar(key, value);
    while (!lines.empty()) {
      std::string_view line = lines.substr(0, lines.find('\n'));
      lines.remove_prefix(std::min(line.size() + 1, lines.size()));
      line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
      line = line.substr(0, line.find_last_not_of(" \t") + 1);
      if (!line.empty()) folders_.push_back({(base_ / expand_home(line)).lexically_normal(), std::string(kind)});
    }
  }

  const std::string& name_;
  std::string_view what_;
  fs::path base_;
  bool is_default_ = false;
  std::vector<ModelFolder> folders_;
};

}  // namespace

std::vector<ModelFolder> parse_import_paths(std::string_view text, std::string_view what, const fs::path& folder) {
  const YamlNode root = parse_yaml(text, what);
  std::vector<ModelFolder> first, others;
  for (const auto& [name, node] : root.members) {
    if (node.kind == YamlNode::Kind::null) continue;
    if (node.kind != YamlNode::Kind::map)
      fail(ErrorCode::bad_file, "'{}' line {}: '{}' is no section: give it lines such as 'checkpoints: PATH'", what,
           node.line, name);
    const Section section(name, node, what, folder);
    std::vector<ModelFolder>& list = section.is_default() ? first : others;
    list.insert(list.end(), section.folders().begin(), section.folders().end());
  }
  first.insert(first.end(), others.begin(), others.end());
  return first;
}

std::vector<ModelFolder> read_import_paths(const fs::path& file) {
  const std::string text = read_text_file(file, kMaxBytes);
  std::vector<ModelFolder> folders = parse_import_paths(text, file.string(), fs::absolute(file).parent_path());
  std::error_code ignored;
  std::erase_if(folders, [&](const ModelFolder& folder) { return !fs::is_directory(folder.path, ignored); });
  return folders;
}

}  // namespace tempera
