// Any text under any keyword can be read as settings. The fields that come out are in the list of fields. Lists and
// hashes read back.
#include <array>
#include <cstdint>
#include <cstdlib>

#include "pipeline/settings_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tempera;
  constexpr std::array<const char*, 5> kKeywords = {"parameters", "prompt", "workflow", "invokeai_metadata",
                                                    "UserComment"};
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::optional<PictureSettings> settings = settings_of({{kKeywords[data[0] % kKeywords.size()], text}});
  if (!settings) return 0;
  std::vector<std::string> texts;
  for (const FieldText& value : settings->fields) {
    bool known = false;
    for (const Field& field : request_fields()) known = known || field.name == value.field;
    if (!known) std::abort();
    texts.push_back(value.text);
  }
  static_cast<void>(split_list(text));
  bool is_utf8 = true;  // others are repaired, as in every text of a picture
  for (const std::string& entry : texts)
    for (const char c : entry) is_utf8 = is_utf8 && (c & 0x80) == 0;
  if (is_utf8 && split_list(joined_list(texts)) != texts) std::abort();
  return 0;
}
