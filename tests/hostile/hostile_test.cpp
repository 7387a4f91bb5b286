// Every malformed file (tools/make_hostile_files.py) is refused with Error(bad_file), in less than a second, without an
// allocation larger than twice the file or 1 MiB.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <vector>

#include "allocations.h"
#include "base/error.h"
#include "base/json.h"
#include "models/components.h"
#include "sampling/config.h"
#include "sanitized.h"
#include "source/model_adapter.h"
#include "source/word_embedding.h"
#include "weights/safetensors.h"
#include "weights/tensor_file.h"

namespace tempera::test {
namespace {

namespace fs = std::filesystem;

const fs::path kFiles = TEMPERA_HOSTILE_FILES;
constexpr size_t kLeastAllowed = size_t{1} << 20;

void read_tensors(const fs::path& path) {
  const std::shared_ptr<const Checkpoint> file = open_tensor_file(path);
  for (const std::string& name : file->names()) file->get(name);
}

void read_index(const fs::path& path) {
  const ShardedSafetensors shards(path);
  for (const std::string& name : shards.names()) shards.get(name);
}

const AdapterNames& sdxl_names() {
  static const AdapterNames kNames(adapter_parameters(sdxl_base()));
  return kNames;
}

void read_model_adapter(const fs::path& path) {
  open_model_adapter(path, sdxl_names());
}

void read_config(const fs::path& path) {
  const std::string text = read_text_file(path, 1 << 20), kind = path.parent_path().filename().string();
  if (kind == "scheduler") {
    parse_scheduler_config(text, path.string());
  } else {
    component_kind(kind).parse(text, path.string());
  }
}

void read_embedding(const fs::path& path) {
  Request request;
  request.textual_inversion = {path};
  open_words({}, request, preset("sdxl-base"));
}

struct Outcome {
  std::string fault;  // "" if the file was refused as it must be
  double seconds = 0;
  double share = 0;  // of the largest allocation in the allowed one
};

Outcome outcome_of(const fs::path& path, void (*read)(const fs::path&)) {
  Outcome outcome;
  largest_allocation();
  const auto start = std::chrono::steady_clock::now();
  try {
    read(path);
    outcome.fault = "it was accepted";
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_file) outcome.fault = std::string("another error: ") + error.what();
  } catch (const std::exception& error) {
    outcome.fault = std::string("an exception: ") + error.what();
  }
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const size_t largest = largest_allocation(), allowed = std::max<size_t>(2 * fs::file_size(path), kLeastAllowed);
  outcome.share = static_cast<double>(largest) / static_cast<double>(allowed);
  if (outcome.fault.empty() && outcome.seconds >= kMostSeconds) outcome.fault = fmt::format("{} s", outcome.seconds);
  if (outcome.fault.empty() && largest > allowed)
    outcome.fault = fmt::format("an allocation of {} bytes, {} are allowed", largest, allowed);
  return outcome;
}

void expect_all_refused(const fs::path& folder, const char* ending, void (*read)(const fs::path&)) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().extension() == ending && entry.path().filename().string().find("-0") != std::string::npos)
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  double slowest = 0, largest = 0;
  for (const fs::path& file : files) {
    const Outcome outcome = outcome_of(file, read);
    EXPECT_EQ(outcome.fault, "") << file;
    slowest = std::max(slowest, outcome.seconds);
    largest = std::max(largest, outcome.share);
  }
  EXPECT_GE(files.size(), 250u);
  fmt::print("{} files of {}: the slowest took {:.3f} s, the largest allocation was {:.0f} % of the allowed one\n",
             files.size(), folder.filename().string(), slowest, 100 * largest);
}

TEST(Hostile, Safetensors) {
  expect_all_refused(kFiles / "safetensors", ".safetensors", read_tensors);
}
TEST(Hostile, Gguf) {
  expect_all_refused(kFiles / "gguf", ".gguf", read_tensors);
}
TEST(Hostile, Adapters) {
  sdxl_names();  // a model has them before a file is opened
  expect_all_refused(kFiles / "adapter", ".safetensors", read_model_adapter);
}
TEST(Hostile, Configurations) {
  expect_all_refused(kFiles / "config", ".json", read_config);
}
TEST(Hostile, ShardIndexes) {
  expect_all_refused(kFiles / "index", ".json", read_index);
}

TEST(Hostile, Embeddings) {
  expect_all_refused(kFiles / "embedding", ".safetensors", read_embedding);
}

// The counting works: an allocation that is too large would be seen.
TEST(Allocations, AreCounted) {
  largest_allocation();
  const std::vector<char> bytes(3 << 20);
  EXPECT_EQ(largest_allocation(), 3u << 20);
}

}  // namespace
}  // namespace tempera::test
