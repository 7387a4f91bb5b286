// For tests only: a folder that goes away, and files made in it.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "weights/safetensors_writer.h"

namespace tempera {

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "tempera-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline void write_file(const std::filesystem::path& path, std::string_view contents) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << contents;
}

inline void write_safetensors(const std::filesystem::path& path,
                              const std::vector<std::pair<TensorSpec, std::vector<std::byte>>>& tensors) {
  std::filesystem::create_directories(path.parent_path());
  std::vector<TensorSpec> specs;
  for (const auto& [spec, bytes] : tensors) specs.push_back(spec);
  SafetensorsWriter writer(path, specs);
  for (const auto& [spec, bytes] : tensors) writer.append(bytes);
  writer.commit();
}

// The message of the Error(bad_file) that `call` throws; "" when it throws nothing.
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
