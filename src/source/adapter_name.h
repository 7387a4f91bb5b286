// The values of options that name a file and give it more: "FILE|NAME:WORD", "FILE|NAME:WEIGHT:TEXT_WEIGHT".
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tempera {

struct AdapterName {
  std::string file;  // for locate()
  std::vector<std::string> parts;
};

// Divides `text` at colons into the file and at most `most_parts` parts. The first rule that applies decides:
//   1. The longest beginning that ends before a colon, or at the end, and is a path of something that exists, is the
//      file, if not more than `most_parts` parts follow it. So the name of a file may contain colons.
//   2. The last `most_parts` colons divide.
AdapterName split_adapter_name(std::string_view text, size_t most_parts);

}  // namespace tempera
