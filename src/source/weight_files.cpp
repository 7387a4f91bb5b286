#include "source/weight_files.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/folder.h"
#include "weights/safetensors.h"
#include "weights/scaled_fp8.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace fs = std::filesystem;

std::optional<WeightFiles> look_for_weight_files(const fs::path& folder, std::string_view stem,
                                                 const std::vector<std::string>& variants) {
  for (const std::string& variant : variants) {
    const std::string dot = variant.empty() ? "" : "." + variant;
    if (const fs::path file = folder / fmt::format("{}{}.safetensors", stem, dot); fs::exists(file)) {
      return WeightFiles{file, false, variant};
    }
    // diffusers since 0.30, and before it.
    for (const std::string& index : {fmt::format("{}.safetensors.index{}.json", stem, dot),
                                     fmt::format("{}.safetensors{}.index.json", stem, dot)}) {
      if (fs::exists(folder / index)) return WeightFiles{folder / index, true, variant};
    }
  }
  return std::nullopt;
}

namespace {

// If the weights are there under a name that was not looked for, the error names it.
void refuse_other_names(const fs::path& folder, std::string_view stem, const std::string& expected) {
  const std::string dot = fmt::format("{}.", stem), shard = fmt::format("{}-0", stem), ending = ".safetensors";
  for (const std::string& name : names_in(folder)) {
    if (!name.ends_with(ending)) continue;
    if (name.starts_with(shard)) {
      fail(ErrorCode::bad_file,
           "'{}.index.json' is missing, which lists '{}' and the other parts: get it from where the model came from",
           expected, name);
    }
    if (!name.starts_with(dot) || name.size() <= dot.size() + ending.size()) continue;
    const std::string variant = name.substr(dot.size(), name.size() - dot.size() - ending.size());
    if (variant.find_first_of(".-") != std::string::npos) continue;
    fail(ErrorCode::bad_file, "'{}' is missing, but '{}' is there: give the {} '{}'", expected, name,
         FieldName{"variant"}, variant);
  }
}

}  // namespace

WeightFiles find_weight_files(const fs::path& folder, std::string_view stem, const std::vector<std::string>& variants) {
  if (std::optional<WeightFiles> files = look_for_weight_files(folder, stem, variants)) return *std::move(files);
  // transformers calls its pickles otherwise than its safetensors files.
  const std::string expected = (folder / fmt::format("{}.safetensors", stem)).string();
  for (const std::string& pickle : {fmt::format("{}.bin", stem), std::string("pytorch_model.bin")}) {
    if (fs::exists(folder / pickle)) {
      fail(ErrorCode::bad_file, "'{}' is a pickle, which can run code when it is opened, and is never read: use '{}'",
           (folder / pickle).string(), expected);
    }
  }
  refuse_other_names(folder, stem, expected);
  fail(ErrorCode::bad_file, "'{}' is missing: the model is incomplete, get the file from where the model came from",
       expected);
}

std::vector<std::string> variants_of(const std::string& requested) {
  if (requested.empty()) return {"", "fp16"};
  return {requested, ""};
}

OpenedWeights open_weight_files(const WeightFiles& files) {
  if (!files.sharded) return {open_tensor_file(files.path), {files.path}};
  OpenedWeights opened;
  const auto sharded = std::make_shared<ShardedSafetensors>(files.path);
  for (const auto& shard : sharded->shards()) opened.files.push_back(shard->path());
  opened.checkpoint = with_fp8_scales(sharded);
  return opened;
}

}  // namespace tempera
