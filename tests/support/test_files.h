// Files of tensors for tests, and the messages about wrong files.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "base/error.h"
#include "support/files.h"
#include "weights/checkpoint.h"
#include "weights/safetensors_writer.h"

namespace tempera {

inline void write_safetensors(const std::filesystem::path& path,
                              const std::vector<std::pair<TensorSpec, std::vector<std::byte>>>& tensors) {
  std::filesystem::create_directories(path.parent_path());
  std::vector<TensorSpec> specs;
  for (const auto& [spec, bytes] : tensors) specs.push_back(spec);
  SafetensorsWriter writer(path, specs);
  for (const auto& [spec, bytes] : tensors) writer.append(bytes);
  writer.commit();
}

// All elements of a tensor, in their stored dtype.
inline std::vector<std::byte> stored_bytes(const CheckpointTensor& tensor) {
  std::vector<std::byte> bytes(tensor.stored_bytes());
  tensor.reader->read(0, static_cast<size_t>(tensor.elements()), tensor.dtype, bytes.data());
  return bytes;
}

// The message of the Error(bad_file) that `call` throws; "" if it does not throw.
inline std::string bad_file_message(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_file) << error.what();
    return error.what();
  }
  return "";
}

}  // namespace tempera
