// The "parameters" text of a picture, as AUTOMATIC1111's web UI began it and other programs and sites read it:
//   prompt, "Negative prompt: ...", and one last line "Steps: 20, Sampler: Euler, ...". Written strictly, read
//   leniently.
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

  // The value of `key`, the last one if it is repeated. "Size-1" and "Size-2", like those of every value "AxB", are its
  // parts; "Clip skip", "RNG" and "Schedule type" have the meaning of their absence as default (1, GPU, Automatic).
  std::optional<std::string> find(std::string_view key) const;
};

// Known keys come in the order that readers expect, Steps first and Version last, the others before Version in the
// order given. Values with a comma, a colon or anything invisible at risk become JSON strings. Double quotes inside
// values become single ones, which no reader trips over. A key is a letter or digit, then one or more letters, digits,
// spaces,
// '-', '/' or '_'. The text reads back as the same data if there are at least three values, no value has a double
// quote, and the lines of both prompts neither begin nor end with white space (nor with an empty line) nor begin with
// "Negative prompt:".
std::string format_infotext(const Infotext& info);

// Any text; what is not understood is left out. The last line counts as values only if it has at least three of them.
Infotext parse_infotext(std::string_view text);

}  // namespace tempera
