// Files that appear whole or not at all: written under another name in the same folder, flushed to the disk, then
// renamed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace tempera {

enum class IfExists { replace, fail };

// All functions throw Error(io) "cannot write '<path>': <reason>", or Error(invalid_argument) when `path` exists and
// must not; whatever fails, `path` is as it was before, unless it is the last: the
// flush of the folder that holds the new name.
class AtomicFile {
 public:
  // Creates the temporary file; its mode is 0666 less the umask. With IfExists::fail an existing `path` is refused
  // here, and once more, without a race, in commit(). What is neither absent nor a regular file (a folder, a device) is
  // refused.
  explicit AtomicFile(std::filesystem::path path, IfExists if_exists = IfExists::replace);
  // Without commit(), removes the temporary file.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Writes after what was appended before; independent of write_at.
  void append(std::span<const std::byte> bytes);
  // Writes at `offset`, which may lie beyond the end; what is never written reads as zeros.
  void write_at(uint64_t offset, std::span<const std::byte> bytes);
  // Flushes and renames. Nothing may be written afterwards.
  void commit();

  const std::filesystem::path& path() const { return path_; }

 private:
  [[noreturn]] void fail_with(int error) const;
  void rename_to_path();

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  IfExists if_exists_;
  int fd_ = -1;
  uint64_t end_ = 0;  // where append() writes
};

// The same for bytes that are there already.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes,
                           IfExists if_exists = IfExists::replace);

}  // namespace tempera
