// A snapshot in the cache of the Hugging Face hub: which files it must have, and whether its links are safe.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tempera {

struct Snapshot {
  std::filesystem::path path;        // to open: the folder, or its only .safetensors file
  std::vector<std::string> missing;  // relative to the folder; empty if the snapshot is complete
};

// The kind of the snapshot decides which files it must have:
//   - with a model_index.json: the configuration and the weights of its components that tempera uses, and the
//   scheduler's
//     configuration;
//   - with a config.json and weights: a component; nothing else;
//   - with one .safetensors file and no configuration: a single file.
// In all other cases model_index.json is missing. Throws Error(bad_file) for malformed JSON.
Snapshot read_snapshot(const std::filesystem::path& folder);

// Every symbolic link in `snapshot` must lead to a file in `blobs`, or to one that is not there. Throws Error(bad_file)
// naming the first other link.
void check_links(const std::filesystem::path& snapshot, const std::filesystem::path& blobs);

}  // namespace tempera
