// The names of picture files. --output is a name or a pattern with {seed} and {index}. Names within one run are never
// equal.
//
// Files that --output names are replaced, like those of -o in other programs. Without --output, no file is replaced and
// the next free number is used.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tempera::cli {

// Called before the work. Throws Error(invalid_argument) in these cases:
// 1. The folder in --output is missing, no file can be created in it, or less than `bytes` are free.
// 2. The name is that of a folder, a pipe or a device, or the file system does not allow it (too long).
// The name of a symbolic link stands for the file that the link names.
void check_output(const std::filesystem::path& path, uintmax_t bytes = 1);

class OutputPattern {
 public:
  // Throws Error(invalid_argument) for a placeholder other than {seed} and {index}, and for one in the folder's name.
  explicit OutputPattern(std::string pattern);

  // The name for picture `index`. If `taken` returns true for it, a number is added before the extension, from `number`
  // (at least 1) on: "a.png", "a-1.png", "a-2.png".
  std::filesystem::path name(uint64_t seed, size_t index, size_t number,
                             const std::function<bool(const std::filesystem::path&)>& taken) const;

  // The names for pictures 0 ... seeds.size()-1, all different and not taken.
  std::vector<std::filesystem::path> names(const std::vector<uint64_t>& seeds,
                                           const std::function<bool(const std::filesystem::path&)>& taken = {}) const;

  // check_output for the longest name that these pictures can get. Without `seed`, it is drawn later.
  void check(std::optional<uint64_t> seed, int images, uintmax_t bytes) const;

 private:
  std::string expand(uint64_t seed, size_t index) const;

  std::string pattern_;
};

}  // namespace tempera::cli
