// Writes the tensors of a model, a few MiB at a time.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "convert/layout.h"

namespace tempera {

class TensorWriter {
 public:
  // Called after each piece, with all bytes that were written and those of all files that were announced; polled.
  TensorWriter(std::function<void(uint64_t done, uint64_t total)> progress, std::function<bool()> cancelled)
      : progress_(std::move(progress)), cancelled_(std::move(cancelled)) {}

  // Before the first file: the tensors of all files, for the progress.
  void announce(const std::vector<OutputTensor>& tensors);
  uint64_t announced_bytes() const { return total_; }

  // Throws Error(io), Error(cancelled), and Error(invalid_argument) for a number that the type of the file does not
  // have: an infinite one in blocks, or one that is too large for fp16 or fp8.
  void write_safetensors(const std::filesystem::path& path, const std::vector<OutputTensor>& tensors,
                         const std::map<std::string, std::string>& metadata);
  void write_gguf(const std::filesystem::path& path, const std::vector<OutputTensor>& tensors);

 private:
  template <class File>
  void write_all(File& file, const std::vector<OutputTensor>& tensors);
  template <class File>
  void write_elements(File& file, const OutputTensor& tensor, const ElementReader& reader, size_t count);

  std::function<void(uint64_t, uint64_t)> progress_;
  std::function<bool()> cancelled_;
  uint64_t done_ = 0, total_ = 0;
  std::vector<float> floats_;     // of one piece
  std::vector<std::byte> bytes_;  // of one piece, as they are written
};

}  // namespace tempera
