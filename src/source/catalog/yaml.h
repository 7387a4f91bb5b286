// A subset of YAML 1.2 that is enough for ComfyUI's extra_model_paths.yaml: nested maps in block style, and scalars
// (plain on one line, in single or double quotes on one line, literal and folded blocks). Everything else (lists, flow
// style, anchors, tags, several documents) is an error, never another value than a full parser would read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tempera {

struct YamlMember;

struct YamlNode {
  enum class Kind { null, scalar, map };
  Kind kind = Kind::null;
  int line = 1;                     // where its key is, counted from 1
  std::string text;                 // of a scalar
  bool plain = true;                // a scalar without quotes that is no block: "true" may be a truth value
  std::vector<YamlMember> members;  // of a map, in the order of the text, with distinct keys

  // nullptr if the map has no such member.
  const YamlNode* find(std::string_view key) const;
};

struct YamlMember {
  std::string key;
  YamlNode value;
};

// Limits: 1 MiB, 16 levels, 10,000 keys. The result is a map, also of an empty text. Throws Error(bad_file, "'<what>'
// line N: ...") with the construct that is malformed or not supported.
YamlNode parse_yaml(std::string_view text, std::string_view what);

}  // namespace tempera
