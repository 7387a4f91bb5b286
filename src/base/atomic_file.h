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
// must not exist. After an error, `path` is unchanged. There is one exception: an error of the last operation, which
// flushes the folder of the new name. If `path` is a symbolic link and may be replaced, the file that it names is
// replaced, and the link stays.
class AtomicFile {
 public:
  // Creates the temporary file. Its mode is 0666 without the bits of the umask. With IfExists::fail, an existing `path`
  // is refused here, and once more, without a race, in commit(). A `path` that is neither absent nor a regular file (a
  // folder, a device) is refused.
  explicit AtomicFile(std::filesystem::path path, IfExists if_exists = IfExists::replace);
  // Without commit(), removes the temporary file.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Writes after all bytes that were appended before. Independent of write_at.
  void append(std::span<const std::byte> bytes);
  // Writes at `offset`, which may be after the end. Bytes that are never written are zeros.
  void write_at(uint64_t offset, std::span<const std::byte> bytes);
  // Flushes and renames. Nothing may be written afterwards.
  void commit();

  const std::filesystem::path& path() const { return path_; }

 private:
  [[noreturn]] void fail_with(int error) const;
  void rename_to_path();

  std::filesystem::path path_;
  std::filesystem::path target_;  // path_, without symbolic links
  std::filesystem::path temporary_;
  IfExists if_exists_;
  int fd_ = -1;
  uint64_t end_ = 0;  // where append() writes
};

// The same for bytes in memory.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes,
                           IfExists if_exists = IfExists::replace);

}  // namespace tempera
