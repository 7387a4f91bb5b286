// Words for prompts that a model was trained with: from its metadata and from the files that A1111 and Civitai's
// helpers put next to it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace tempera {

struct TriggerWords {
  std::vector<std::string> words;     // each once, in the order of the sources below
  std::vector<std::string> problems;  // sentences about files that cannot be read
};

// Sources: `modelspec.trigger_phrase` in `metadata`; "activation text" in NAME.json; "trainedWords" in
// NAME.civitai.info. Only if there are none: the five most frequent tags in `ss_tag_frequency` (kohya's trainer).
TriggerWords trigger_words(const std::filesystem::path& model, const std::map<std::string, std::string>& metadata);

// The SHA-256 of the whole file that NAME.civitai.info has, in small letters; empty if there is none.
std::string civitai_hash(const std::filesystem::path& model);

}  // namespace tempera
