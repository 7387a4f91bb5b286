// Any bytes can be parsed. The parsed text, written and parsed again, does not change any more.
#include <cstdint>
#include <cstdlib>

#include "image/infotext.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tempera::Infotext;
  const Infotext first = tempera::parse_infotext({reinterpret_cast<const char*>(data), size});
  for (const char* key : {"Size-1", "Size-2", "Clip skip", "Steps"}) static_cast<void>(first.find(key));
  if (first.values.empty()) return 0;
  const Infotext second = tempera::parse_infotext(tempera::format_infotext(first));
  const Infotext third = tempera::parse_infotext(tempera::format_infotext(second));
  const bool same = second.prompt == first.prompt && second.negative_prompt == first.negative_prompt &&
                    third.prompt == second.prompt && third.negative_prompt == second.negative_prompt &&
                    second.values.size() == first.values.size() && third.values == second.values;
  if (!same) std::abort();
  return 0;
}
