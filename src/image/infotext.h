// The "parameters" text of a picture, in the form that AUTOMATIC1111's web UI introduced and that other programs and
// sites read:
//   prompt, "Negative prompt: ...", and one last line "Steps: 20, Sampler: Euler, ...".
// The writer is strict, the reader lenient.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tempera {

struct Infotext {
  std::string prompt;
  std::string negative_prompt;
  std::vector<std::pair<std::string, std::string>> values;  // key and value, in the order of the text

  // The value of `key`, the last one if it is repeated. "Size-1" and "Size-2" are the parts of "Size", and this holds
  // for every value "AxB". If "Clip skip", "RNG" or "Schedule type" is absent, the value is the default (1, GPU,
  // Automatic).
  std::optional<std::string> find(std::string_view key) const;
};

// The order of known keys is the one that readers expect: Steps first, Version last, others before Version in the given
// order. Values with a comma, a colon, a double quote or an invisible character become JSON strings. A key is a letter
// or digit, then one or more letters, digits, spaces, '-',
// '/' or '_'.
//
// The text reads back as the same data if all of this holds:
// 1. There are at least three values.
// 2. The lines of both prompts do not begin or end with white space, and the prompts do not begin or end with an empty
//    line.
// 3. No line of them begins with "Negative prompt:".
std::string format_infotext(const Infotext& info);

// Accepts any text and ignores parts that it does not recognise. The last line has values only if there are at least
// three.
Infotext parse_infotext(std::string_view text);

}  // namespace tempera
