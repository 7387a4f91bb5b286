// A file mapped read-only. Pages are read when touched. release() gives them back, so that a 7 GB checkpoint is never
// in memory together with the copy that was made of it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace tempera {

class MappedFile {
 public:
  // Throws Error(bad_file) with the path when the file is missing, not a regular file, or unreadable. The mapping of an
  // empty file is an empty span.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

  // Drops the pages of `range` (a part of bytes()) from this process, and the pages that the system mapped together
  // with them. Later reads map them again.
  void release(std::span<const std::byte> range) const noexcept;
  // Starts reading the pages of `range` before they are used.
  void prefetch(std::span<const std::byte> range) const noexcept;

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace tempera
