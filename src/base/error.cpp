#include "base/error.h"

namespace tempera {
namespace {

constexpr char kMask = '\1';  // in no field's name

}  // namespace

namespace message_parts {

std::string masked(const FieldName& field) {
  return std::string(field.name.size(), kMask);
}

std::string masked(const Message& message) {
  std::string text = message.text;
  for (const Message::Mention& mention : message.mentions)
    text.replace(mention.begin, mention.length, mention.length, kMask);
  return text;
}

Message compare(std::string text, std::string_view masked) {
  Message message{std::move(text), {}};
  bool in_name = false;
  for (size_t at = 0; at < message.text.size(); ++at) {
    const bool differs = message.text[at] != masked[at];
    if (differs && !in_name) message.mentions.push_back({at, 0});
    if (differs) ++message.mentions.back().length;
    in_name = differs;
  }
  return message;
}

}  // namespace message_parts

std::string spelled(const Message& message, const std::function<std::string(std::string_view name)>& spell) {
  const std::string_view text = message.text;
  std::string result;
  size_t done = 0;
  for (const Message::Mention& mention : message.mentions) {
    result += text.substr(done, mention.begin - done);
    result += spell(text.substr(mention.begin, mention.length));
    done = mention.begin + mention.length;
  }
  return result += text.substr(done);
}

}  // namespace tempera
