// The output of a picture that is no file: standard output, a pipe or a character device. It is opened when the picture
// is finished and written directly, without a temporary file.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace tempera::cli {

class PictureStream {
 public:
  // Nothing if --output is the name or the pattern of files. Standard output is "-", or its path in /dev or /proc.
  // Throws Error(invalid_argument) before the work: for more than one picture, for a terminal, and for an output that
  // may not be written to. A pipe is not opened here, because that would wait for its reader.
  //
  // If it is standard output, everything else that this process prints there goes to standard error from here on.
  static std::optional<PictureStream> of(const std::string& output, int images);

  // Writes a whole file. For a pipe it first waits for the reader. Throws Error(io), and Error(cancelled) if it is
  // interrupted while it waits.
  void write(std::span<const std::byte> bytes) const;

  bool is_standard_output() const { return descriptor_ >= 0; }

 private:
  PictureStream(std::string name, int descriptor) : name_(std::move(name)), descriptor_(descriptor) {}

  std::string name_;  // as given
  int descriptor_;    // of standard output; -1: opened by name
};

}  // namespace tempera::cli
