// The content of a model in a folder, from headers alone: its kind, the types of its elements, its metadata.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "source/catalog/scan.h"
#include "source/classify.h"

namespace tempera {

struct ModelContents {
  FileClass type;
  std::vector<std::string>
      dtypes;          // of the elements, the most frequent first: "f16"; of a diffusers model: of its UNet
  uint64_t bytes = 0;  // of the file, or of all files of the folder
  std::map<std::string, std::string> metadata;
  std::string problem;  // why it cannot be used, as a sentence; empty: nothing is known
};

// Throws nothing for a file that is malformed or not supported: its kind is FileKind::unknown, and `problem` says why.
ModelContents read_contents(const FoundModel& model);

}  // namespace tempera
