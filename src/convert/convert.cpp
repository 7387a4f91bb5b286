// convert(): the checks before any work, the files in a staging folder, and the warning about the parts of a model that
// a single file cannot hold.
#include "tempera/convert.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/staging_folder.h"
#include "convert/folder.h"
#include "convert/layout.h"
#include "convert/marks.h"
#include "convert/model.h"
#include "convert/tensor_writer.h"
#include "sampling/config.h"
#include "source/tiny_vae.h"
#include "text/clip_vocabulary.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

OutputKind kind_of(const fs::path& out) {
  const std::string ending = out.extension().string();
  if (ending == ".safetensors") return OutputKind::safetensors;
  if (ending == ".gguf") return OutputKind::gguf;
  constexpr std::array kOthers = {".ckpt", ".pt", ".pth", ".bin", ".sft", ".onnx"};
  if (std::ranges::find(kOthers, ending) != kOthers.end()) {
    fail(ErrorCode::invalid_argument,
         "'{}' has the ending of a format that is not written: give a name that ends in .safetensors or .gguf, or the "
         "name of a folder",
         out.string());
  }
  return OutputKind::folder;
}

void check_space(const fs::path& folder, const fs::path& out, uint64_t bytes) {
  constexpr uint64_t kTexts = 16 << 20;  // tokenizers, headers
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  if (error || space.available >= bytes + kTexts) return;
  fail(ErrorCode::io, "cannot write '{}': it needs {} MB and {} MB are free: free some space or choose another folder",
       out.string(), (bytes + kTexts) / 1000000, space.available / 1000000);
}

// The same sampler, or the same text if it cannot be used here.
bool same_scheduler(const std::string& a, const std::string& b) {
  try {
    return a == b || parse_scheduler_config(a) == parse_scheduler_config(b);
  } catch (const Error&) {
    return false;
  }
}

bool is_built_in(const fs::path& tokenizer, Padding padding) {
  return tokenizer.empty() ||
         *parse_tokenizer_files(read_tokenizer_folder(tokenizer)).bpe == *clip_vocabulary(padding).bpe;
}

// The parts of the model that are not the same when `file` is opened without the source.
std::vector<std::string> lost_parts(const ConvertedModel& model, const fs::path& file) {
  std::vector<std::string> lost;
  try {
    ModelSource read = open_model(file);
    read.config.unet.use_linear_projection = true;
    for (const auto& [component, config] : component_configs(read.config)) {
      const ConvertedPart* part = model.find(component);
      if (part != nullptr && part->config != config)
        lost.push_back(fmt::format("the configuration of the {}", component));
    }
    if (!same_scheduler(read.scheduler_config, model.scheduler_config)) lost.emplace_back("the scheduler");
    if (read.defaults.num_inference_steps != model.defaults.num_inference_steps ||
        read.defaults.guidance_scale != model.defaults.guidance_scale)
      lost.emplace_back("the defaults");
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_file) throw;
    lost.emplace_back("the configuration");  // such as the width of attention heads
  }
  if (!is_built_in(model.tokenizer, Padding::first) || !is_built_in(model.tokenizer_2, Padding::second))
    lost.emplace_back("the tokenizers");
  if (model.find(kTinyVaeFolder) != nullptr) lost.emplace_back("the tiny autoencoder");
  return lost;
}

// The same for a component alone in a file.
std::vector<std::string> lost_parts_alone(const ConvertedModel& model, const fs::path& file) {
  const ConvertedPart& part = model.parts.at(0);
  if (part.component == kTinyVaeFolder) return {};
  try {
    const ConvertedModel read = open_alone(part.component, file, {});
    if (read.parts.at(0).config == part.config) return {};
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_file) throw;
  }
  return {fmt::format("the configuration of the {}", part.component)};
}

void warn(const ConvertedModel& model, const std::vector<std::string>& lost, const fs::path& out, const LogSink& log) {
  if (!log || lost.empty()) return;
  log(LogLevel::warning, fmt::format("'{}' cannot hold {}: keep '{}', and give these parts as options", out.string(),
                                     fmt::join(lost, ", "), model.path.string()));
}

// The path of the staging folder in errors of writing becomes that of the output.
[[noreturn]] void rethrow_named(const Error& error, const fs::path& file, const fs::path& out) {
  std::string text = error.what();
  const std::string hidden = file.string();
  if (error.code() != ErrorCode::io) throw;
  for (size_t at = text.find(hidden); at != std::string::npos; at = text.find(hidden, at))
    text.replace(at, hidden.size(), out.string());
  throw Error(ErrorCode::io, text);
}

void write_model_folder(const ConvertedModel& model, const TensorTypes& types, const fs::path& out,
                        StagingFolder& staging, TensorWriter& writer, const LogSink& log) {
  const FolderFiles files = folder_files(model, types);
  for (const auto& [path, tensors] : files) writer.announce(tensors);
  check_space(staging.path(), out, writer.announced_bytes());
  try {
    write_folder(model, files, staging.path(), writer);
  } catch (const Error& error) {
    rethrow_named(error, staging.path(), out);
  }
  if (!model.config && has_marks_of_files_alone(model)) warn(model, {"the marks of the sampling"}, out, log);
  staging.commit_folder();
}

void write_single_file(const ConvertedModel& model, const TensorTypes& types, OutputKind kind, const fs::path& out,
                       StagingFolder& staging, TensorWriter& writer, const LogSink& log) {
  const std::vector<OutputTensor> tensors = single_file_tensors(model, types, kind);
  writer.announce(tensors);
  check_space(staging.path(), out, writer.announced_bytes());
  const fs::path file = staging.path() / out.filename();
  try {
    if (kind == OutputKind::gguf) {
      writer.write_gguf(file, tensors);
    } else {
      writer.write_safetensors(file, tensors, output_metadata(model, true));
    }
  } catch (const Error& error) {
    rethrow_named(error, file, out);
  }
  warn(model, model.config ? lost_parts(model, file) : lost_parts_alone(model, file), out, log);
  staging.commit_file();
}

void convert_checked(const EngineOptions& engine, const ConvertOptions& options, const fs::path& out,
                     const ConvertCallbacks& callbacks) {
  if (!out.has_filename() && !out.has_parent_path())
    fail(ErrorCode::invalid_argument, "the name of the output is empty: give one");
  const OutputKind kind = kind_of(out);
  const TensorTypes types(options.dtype, kind);
  StagingFolder staging(out);
  const ConvertedModel model = open_converted_model(engine, options.lora, callbacks.log);
  TensorWriter writer(callbacks.progress, callbacks.cancelled);
  if (kind == OutputKind::folder) {
    write_model_folder(model, types, out, staging, writer, callbacks.log);
  } else {
    write_single_file(model, types, kind, out, staging, writer, callbacks.log);
  }
}

}  // namespace

void convert(const EngineOptions& engine, const ConvertOptions& options, const fs::path& out,
             const ConvertCallbacks& callbacks) {
  try {
    convert_checked(engine, options, out, callbacks);
  } catch (const fs::filesystem_error& error) {  // a folder that may not be searched, a loop of symbolic links
    fail(ErrorCode::io, "cannot look at '{}': {}", error.path1().string(), error.code().message());
  }
}

}  // namespace tempera
