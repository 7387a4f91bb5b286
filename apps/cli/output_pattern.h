// The names of picture files. --output is a name or a pattern with {seed} and {index}. Names within one run are never
// equal.
//
// Files that --output names are replaced, like those of -o in other programs. Without --output, no file is replaced and
// the next free number is used.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tempera::cli {

inline constexpr std::string_view kDefaultOutput = "tempera-{seed}.png";

// Called before the work. Throws Error(invalid_argument) when the folder in --output is missing or cannot be written
// to, or when the name is that of a folder.
void check_output_folder(const std::filesystem::path& path);

class OutputPattern {
 public:
  // Throws Error(invalid_argument) for a placeholder other than {seed} and {index}, for one in the folder's name, and
  // for a name that does not end in .png.
  explicit OutputPattern(std::string pattern);

  // The names for pictures 0 ... seeds.size()-1, all different. If a name is repeated, or `taken` returns true for it,
  // -1, -2, ... is added before the extension: "a.png", "a-1.png", "a-2.png".
  std::vector<std::filesystem::path> names(const std::vector<uint64_t>& seeds,
                                           const std::function<bool(const std::filesystem::path&)>& taken = {}) const;

  // As check_output_folder.
  void check_folder() const { check_output_folder(pattern_); }

 private:
  std::string expand(uint64_t seed, size_t index) const;

  std::string pattern_;
};

}  // namespace tempera::cli
