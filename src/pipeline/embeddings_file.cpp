#include "pipeline/embeddings_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <sstream>

#include "base/error.h"
#include "base/utf8.h"
#include "weights/safetensors.h"
#include "weights/safetensors_writer.h"

namespace tempera {
namespace {

constexpr int64_t kMostTokens = 4096;  // diffusers has no limit; programs that join long prompts use a few times 77

constexpr const char* kHidden = "prompt_embeds";
constexpr const char* kPooled = "pooled_prompt_embeds";
constexpr const char* kNegativeHidden = "negative_prompt_embeds";
constexpr const char* kNegativePooled = "negative_pooled_prompt_embeds";

class Reader {
 public:
  Reader(const std::filesystem::path& path, const ModelConfig& model)
      : file_(path), width_(model.unet.cross_attention_dim), pooled_(pooled_width(model)) {}

  bool has_negative() const { return file_.find(kNegativeHidden) || file_.find(kNegativePooled); }

  PromptRow row(const char* hidden_name, const char* pooled_name) const {
    const CheckpointTensor hidden = get(hidden_name), pooled = get(pooled_name);
    const std::vector<int64_t> rows = one_prompt(hidden_name, hidden, 2), row = one_prompt(pooled_name, pooled, 1);
    if (rows.size() != 2 || rows[1] != width_ || rows[0] < 1 || rows[0] > kMostTokens)
      refuse_shape(hidden_name, hidden, fmt::format("1xTx{}, T tokens", width_));
    if (row.size() != 1 || row[0] != pooled_) refuse_shape(pooled_name, pooled, fmt::format("1x{}", pooled_));
    return {values(hidden_name, hidden), values(pooled_name, pooled)};
  }

  std::optional<std::string> said(const std::string& key) const {
    const auto at = file_.metadata().find(key);
    return at == file_.metadata().end() ? std::nullopt : std::optional(at->second);
  }

 private:
  CheckpointTensor get(const char* name) const {
    std::optional<CheckpointTensor> found = file_.find(name);
    if (!found)
      fail(ErrorCode::bad_file, "'{}' has no {}: give {} a file of encoded prompts", file_.path().string(), name,
           FieldName{"prompt_embeds"});
    return *std::move(found);
  }

  std::vector<int64_t> one_prompt(const char* name, const CheckpointTensor& tensor, size_t dimensions) const {
    std::vector<int64_t> dims = tensor.dims;
    if (dims.size() != dimensions + 1) return dims;
    if (dims[0] != 1)
      fail(ErrorCode::bad_file, "{} is {}, which is {} prompts: give {} a file with one", file_.origin(name),
           dims_to_string(dims), dims[0], FieldName{"prompt_embeds"});
    dims.erase(dims.begin());
    return dims;
  }

  [[noreturn]] void refuse_shape(const char* name, const CheckpointTensor& tensor, const std::string& expected) const {
    fail(ErrorCode::bad_file,
         "{} is {}, expected {}: the embeddings are of another model, give {} a file made with this one",
         file_.origin(name), dims_to_string(tensor.dims), expected, FieldName{"prompt_embeds"});
  }

  std::vector<float> values(const char* name, const CheckpointTensor& tensor) const {
    if (tensor.dtype != DType::f32 && tensor.dtype != DType::f16 && tensor.dtype != DType::bf16)
      fail(ErrorCode::bad_file, "{} is of type {}: only F32, F16 and BF16 are embeddings", file_.origin(name),
           safetensors_name(tensor.dtype));
    std::vector<float> values = tensor.floats();
    if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); }))
      fail(ErrorCode::bad_file, "{} holds values that are no numbers: give {} a file that is whole", file_.origin(name),
           FieldName{"prompt_embeds"});
    return values;
  }

  SafetensorsFile file_;
  int64_t width_, pooled_;
};

std::optional<int> number(const std::optional<std::string>& text) {
  int value = 0;
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  return error == std::errc() && end == text->data() + text->size() ? std::optional(value) : std::nullopt;
}

}  // namespace

int pooled_width(const ModelConfig& model) {
  return model.unet.projection_class_embeddings_input_dim -
         model.micro_conditioning_count() * model.unet.addition_time_embed_dim;
}

EmbeddingsFile read_embeddings(const std::filesystem::path& path, const ModelConfig& model) {
  const Reader reader(path, model);
  EmbeddingsFile file;
  file.embeddings.positive = reader.row(kHidden, kPooled);
  if (reader.has_negative()) {
    file.embeddings.negative = reader.row(kNegativeHidden, kNegativePooled);
    if (file.embeddings.negative->hidden.size() != file.embeddings.positive.hidden.size())
      fail(ErrorCode::bad_file, "{} and {} of '{}' differ in their number of tokens: pad them to the same", kHidden,
           kNegativeHidden, path.string());
  }
  file.tokens =
      static_cast<int>(file.embeddings.positive.hidden.size() / static_cast<size_t>(model.unet.cross_attention_dim));
  file.prompt = reader.said("prompt").value_or("");
  file.prompt_2 = reader.said("prompt_2");
  file.negative_prompt = reader.said("negative_prompt");
  file.negative_prompt_2 = reader.said("negative_prompt_2");
  file.clip_skip = number(reader.said("clip_skip"));
  if (std::optional<std::string> words = reader.said("textual_inversion")) file.textual_inversion = {*std::move(words)};
  std::istringstream lines(reader.said("lora").value_or(""));
  for (std::string line; std::getline(lines, line);) file.lora.push_back(line);
  return file;
}

void check_embeddings_path(const std::filesystem::path& path) {
  if (path.extension() != ".safetensors")
    fail(ErrorCode::invalid_argument, "{} is '{}': give a name that ends in .safetensors", FieldName{"output"},
         path.string());
  std::error_code ignored;
  const std::filesystem::path folder = path.parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder, ignored))
    fail(ErrorCode::invalid_argument, "{}: there is no folder '{}': create it first", FieldName{"output"},
         folder.string());
}

EmbeddingsFile read_embeddings_for(ResolvedRequest& r, const ModelConfig& model) {
  EmbeddingsFile file = read_embeddings(r.request.prompt_embeds, model);
  const bool guided = std::ranges::any_of(r.loops, &Loop::guidance);
  if (guided && !file.embeddings.negative) {
    if (!model.force_zeros_for_empty_prompt)
      fail(ErrorCode::bad_file,
           "'{}' has no negative_prompt_embeds, which guidance needs: give {} a file that has them, or turn guidance "
           "off with {} 1",
           r.request.prompt_embeds, FieldName{"prompt_embeds"}, FieldName{"guidance_scale"});
    file.embeddings.negative = zeros_like(file.embeddings.positive);
  }
  r.request.prompt = file.prompt;
  r.request.prompt_2 = file.prompt_2;
  r.request.negative_prompt = file.negative_prompt;
  r.request.negative_prompt_2 = file.negative_prompt_2;
  r.request.clip_skip = file.clip_skip;
  r.request.textual_inversion = file.textual_inversion;
  r.request.lora.insert(r.request.lora.begin(), file.lora.begin(), file.lora.end());
  return file;
}

void write_embeddings(const std::filesystem::path& path, const PromptEmbeddings& embeddings, int tokens,
                      const Request& request) {
  std::map<std::string, std::string> said = {{"format", "pt"}, {"prompt", valid_utf8(request.prompt)}};
  if (request.prompt_2) said["prompt_2"] = valid_utf8(*request.prompt_2);
  if (request.negative_prompt) said["negative_prompt"] = valid_utf8(*request.negative_prompt);
  if (request.negative_prompt_2) said["negative_prompt_2"] = valid_utf8(*request.negative_prompt_2);
  if (request.clip_skip) said["clip_skip"] = fmt::format("{}", *request.clip_skip);
  if (!request.textual_inversion.empty())
    said["textual_inversion"] = valid_utf8(fmt::format("{}", fmt::join(request.textual_inversion, ", ")));
  if (!request.lora.empty()) said["lora"] = valid_utf8(fmt::format("{}", fmt::join(request.lora, "\n")));

  std::vector<TensorSpec> specs;
  std::vector<const std::vector<float>*> values;
  const auto add = [&](const char* hidden_name, const char* pooled_name, const PromptRow& row) {
    const auto width = static_cast<int64_t>(row.hidden.size()) / tokens;
    specs.push_back({hidden_name, DType::f32, {1, tokens, width}});
    specs.push_back({pooled_name, DType::f32, {1, static_cast<int64_t>(row.pooled.size())}});
    values.insert(values.end(), {&row.hidden, &row.pooled});
  };
  add(kHidden, kPooled, embeddings.positive);
  if (embeddings.negative) add(kNegativeHidden, kNegativePooled, *embeddings.negative);
  SafetensorsWriter file(path, specs, said);
  for (const std::vector<float>* tensor : values) file.append(std::as_bytes(std::span(*tensor)));
  file.commit();
}

}  // namespace tempera
