#include "source/word_embedding.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/mix.h"
#include "source/adapter_name.h"
#include "source/classify.h"
#include "source/locate.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace {

constexpr FieldName kField{"textual_inversion"};

const ClipConfig* encoder_of(const ModelConfig& model, size_t encoder) {
  if (encoder == 1) return &model.text_encoder_2;
  return model.text_encoder ? &*model.text_encoder : nullptr;
}

// "768 or 1280".
std::string widths_of(const ModelConfig& model) {
  const int second = model.text_encoder_2.hidden_size;
  if (!model.text_encoder || model.text_encoder->hidden_size == second) return fmt::format("{}", second);
  return fmt::format("{} or {}", model.text_encoder->hidden_size, second);
}

class Reader {
 public:
  Reader(const Checkpoint& tensors, std::string_view what, std::string_view prefix, const ModelConfig& model)
      : tensors_(tensors), what_(what), prefix_(prefix), model_(model) {}

  WordEmbedding read(std::string word) {
    result_.word = std::move(word);
    std::vector<std::string> names;
    for (const std::string& name : tensors_.names())
      if (name.starts_with(prefix_)) names.push_back(name.substr(prefix_.size()));
    std::erase(names, "string_to_token.*");  // A1111: the id of the placeholder in training
    if (names.empty())
      fail(ErrorCode::bad_file, "'{}' has no vectors: give {} a file with the tensors clip_l and clip_g", what_,
           kField);
    for (const std::string& name : names) {
      if (name == "clip_l" || name == "text_encoders_0") {
        add_to(0, name);
      } else if (name == "clip_g" || name == "text_encoders_1") {
        add_to(1, name);
      } else if (name == "emb_params" || name == "string_to_param.*" || names.size() == 1) {
        add_by_width(name);
      } else {
        fail(ErrorCode::bad_file,
             "{} is not part of an embedding that can be used: give {} a file with the tensors clip_l and clip_g",
             origin(name), kField);
      }
    }
    if (result_.count[0] + result_.count[1] == 0)
      fail(ErrorCode::bad_file, "'{}' is for a text encoder that this model does not have: give {} an embedding of it",
           what_, kField);
    set_identity();
    return std::move(result_);
  }

 private:
  std::string origin(const std::string& name) const { return tensors_.origin(std::string(prefix_) + name); }

  // (K, C) of the tensor.
  std::array<int64_t, 2> size_of_tensor(const std::string& name, const CheckpointTensor& tensor) const {
    const std::vector<int64_t>& dims = tensor.dims;
    if (dims.empty() || dims.size() > 2)
      fail(ErrorCode::bad_file, "{} is {}, expected vectors of {} elements: give {} an embedding of this model",
           origin(name), dims_to_string(dims), widths_of(model_), kField);
    return {dims.size() == 2 ? dims[0] : 1, dims.back()};
  }

  void add_to(size_t encoder, const std::string& name) {
    if (encoder_of(model_, encoder) == nullptr) return;
    const CheckpointTensor tensor = tensors_.get(std::string(prefix_) + name);
    if (size_of_tensor(name, tensor)[1] != encoder_of(model_, encoder)->hidden_size)
      refuse_width(name, tensor, fmt::format("{}", encoder_of(model_, encoder)->hidden_size));
    set(encoder, name, tensor);
  }

  void add_by_width(const std::string& name) {
    const CheckpointTensor tensor = tensors_.get(std::string(prefix_) + name);
    const int64_t width = size_of_tensor(name, tensor)[1];
    bool fits = false;
    for (const size_t encoder : {0, 1})
      if (const ClipConfig* clip = encoder_of(model_, encoder); clip != nullptr && clip->hidden_size == width) {
        set(encoder, name, tensor);
        fits = true;
      }
    if (!fits) refuse_width(name, tensor, widths_of(model_));
  }

  [[noreturn]] void refuse_width(const std::string& name, const CheckpointTensor& tensor,
                                 const std::string& expected) const {
    const FileClass type = prefix_.empty() ? classify(tensors_) : FileClass{};
    fail(ErrorCode::bad_file, "{} is {}, expected vectors of {} elements: '{}' is {}, give {} one of this model",
         origin(name), dims_to_string(tensor.dims), expected, what_,
         type.kind == FileKind::embedding && !type.base.empty() ? describe(type) : "an embedding of another model",
         kField);
  }

  void set(size_t encoder, const std::string& name, const CheckpointTensor& tensor) {
    const int64_t count = size_of_tensor(name, tensor)[0];
    const int most = encoder_of(model_, encoder)->max_position_embeddings - 2;  // start and end
    if (result_.count[encoder] != 0)
      fail(ErrorCode::bad_file, "'{}' has several tensors for one text encoder, such as {}: give {} a file with one",
           what_, in_quotes(name), kField);
    if (count < 1 || count > most)
      fail(ErrorCode::bad_file, "{} has {} vectors: give {} an embedding of 1 to {}", origin(name), count, kField,
           most);
    if (tensor.blocks != nullptr ||
        (tensor.dtype != DType::f32 && tensor.dtype != DType::f16 && tensor.dtype != DType::bf16))
      fail(ErrorCode::bad_file, "{} is of type {}: give {} an embedding in f32, f16 or bf16", origin(name),
           tensor.stored_type(), kField);
    std::vector<float> values = tensor.floats();
    if (!std::ranges::all_of(values, [](float x) { return std::isfinite(x); }))
      fail(ErrorCode::bad_file, "{} has values that are not finite: get '{}' again, or leave it out of {}",
           origin(name), what_, kField);
    result_.count[encoder] = static_cast<int>(count);
    result_.vectors[encoder] = std::move(values);
  }

  void set_identity() {
    uint64_t& identity = result_.identity;
    for (const char letter : result_.word) identity = mixed(identity, static_cast<unsigned char>(letter));
    for (const size_t encoder : {0, 1}) {
      identity = mixed(identity, static_cast<uint64_t>(result_.count[encoder]));
      for (const float value : result_.vectors[encoder]) identity = mixed(identity, std::bit_cast<uint32_t>(value));
    }
  }

  const Checkpoint& tensors_;
  std::string_view what_, prefix_;
  const ModelConfig& model_;
  WordEmbedding result_;
};

}  // namespace

WordEmbedding read_word_embedding(const Checkpoint& tensors, std::string_view what, std::string_view prefix,
                                  std::string word, const ModelConfig& model) {
  return Reader(tensors, what, prefix, model).read(std::move(word));
}

std::vector<WordEmbedding> open_words(const EngineOptions& engine, const Request& request, const ModelConfig& model) {
  std::vector<WordEmbedding> words;
  for (const std::string& text : request.textual_inversion) {
    const AdapterName name = split_adapter_name(text, 1);
    if (name.file.empty() || (!name.parts.empty() && name.parts[0].empty()))
      fail(ErrorCode::invalid_argument, "{} is '{}': give FILE or FILE:WORD", kField, text);
    std::filesystem::path path = locate(engine, FileKind::embedding, name.file);
    const std::shared_ptr<const Checkpoint> file = open_tensor_file(path);
    const FileClass type = classify(*file);
    if (type.kind != FileKind::embedding && type.kind != FileKind::unknown)
      fail(ErrorCode::bad_file, "'{}' is {}: give {} an embedding", path.string(), describe(type), kField);
    std::string word = name.parts.empty() ? path.stem().string() : name.parts[0];
    words.push_back(read_word_embedding(*file, path.string(), "", std::move(word), model));
    words.back().file = std::move(path);
  }
  return words;
}

}  // namespace tempera
