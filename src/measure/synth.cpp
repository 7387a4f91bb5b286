// synth(): a model of a preset's names and shapes with random weights, so that speed and memory can be measured
// anywhere. Values depend on (seed, tensor, element) alone; they are streamed to disk.
#include <fmt/ranges.h>

#include <map>

#include "base/atomic_file.h"
#include "base/error.h"
#include "measure/random_quantised.h"
#include "measure/random_values.h"
#include "models/components.h"
#include "models/config_writer.h"
#include "source/ldm_config.h"
#include "source/marks.h"
#include "source/tiny_vae.h"
#include "tempera/tempera.h"
#include "weights/block_types.h"
#include "weights/gguf_writer.h"
#include "weights/naming.h"
#include "weights/safetensors_writer.h"

namespace tempera {
namespace {

namespace fs = std::filesystem;

// The types of a model: of the weights of its UNet that are matrices or convolutions, and of everything else.
struct Types {
  DType dtype = DType::f16;           // of everything else
  bool fp8 = false;                   // those weights of the UNet as float8_e4m3fn
  const BlockType* blocks = nullptr;  // those with rows of whole blocks in this type; GGUF only
};

class Writer {
 public:
  Writer(const SynthOptions& options, const std::function<void(size_t, size_t)>& progress,
         const std::function<bool()>& cancelled)
      : options_(options), progress_(progress), cancelled_(cancelled) {}

  void add_total(const std::vector<GgufSpec>& tensors) {
    for (const GgufSpec& t : tensors) total_ += t.bytes();
  }

  void write(const fs::path& path, const std::vector<GgufSpec>& tensors) {
    if (is_gguf_name(path)) {
      GgufWriter file(path, tensors);
      append_all(file, tensors);
    } else {
      std::vector<TensorSpec> specs;
      specs.reserve(tensors.size());
      for (const GgufSpec& t : tensors) specs.push_back({t.name, t.dtype, t.dims});
      SafetensorsWriter file(path, specs, {{"format", "pt"}});
      append_all(file, tensors);
    }
  }

  static bool is_gguf_name(const fs::path& path) { return path.extension() == ".gguf"; }

 private:
  static constexpr size_t kPiece = size_t{1} << 22;  // elements at a time

  template <class File>
  void append_all(File& file, const std::vector<GgufSpec>& tensors) {
    for (const GgufSpec& tensor : tensors) append_values(file, tensor);
    file.commit();
  }

  // In units: elements, or blocks of them.
  template <class File>
  void append_values(File& file, const GgufSpec& tensor) {
    const Spread spread = weight_spread(tensor.name, tensor.dims);
    const size_t unit = tensor.blocks == nullptr ? size_of(tensor.dtype) : tensor.blocks->bytes;
    const size_t piece = tensor.blocks == nullptr ? kPiece : kPiece / tensor.blocks->elements;
    const size_t units = static_cast<size_t>(tensor.bytes()) / unit;
    const uint64_t stream = mix(options_.seed ^ mix(tensors_done_++));
    std::vector<std::byte> bytes(std::min(units, piece) * unit);
    for (size_t begin = 0; begin < units; begin += piece) {
      if (cancelled_ && cancelled_()) fail(ErrorCode::cancelled, "stopped");
      const std::span block = std::span(bytes).first(std::min(units - begin, piece) * unit);
      if (tensor.blocks != nullptr) {
        random_q4_k(stream, begin, spread, block);
      } else if (tensor.dtype == DType::f8_e4m3) {
        random_fp8(stream, begin, spread, block);
      } else {
        random_values(stream, begin, spread, tensor.dtype, block);
      }
      file.append(block);
      done_ += block.size();
      if (progress_) progress_(done_, total_);
    }
  }

  const SynthOptions& options_;
  const std::function<void(size_t, size_t)>& progress_;
  const std::function<bool()>& cancelled_;
  size_t done_ = 0, total_ = 0;
  uint64_t tensors_done_ = 0;
};

std::vector<int64_t> dims_of(const Shape& shape) {
  return {shape.dims().begin(), shape.dims().end()};
}

GgufSpec spec_of(std::string_view component, std::string name, std::vector<int64_t> dims, const Types& types) {
  GgufSpec spec{std::move(name), types.dtype, std::move(dims)};
  if (component != "unet" || spec.dims.size() < 2) return spec;
  if (types.fp8) spec.dtype = DType::f8_e4m3;
  if (types.blocks != nullptr && spec.dims.back() % static_cast<int64_t>(types.blocks->elements) == 0) {
    spec.dtype = DType::f32;
    spec.blocks = types.blocks;
  }
  return spec;
}

// Every tensor of the single-file layout once: thirds of one tensor name the same source.
std::vector<GgufSpec> ldm_tensors(const ModelConfig& model, const Types& types) {
  const LdmNames names(ldm_layout(model));
  std::map<std::string, GgufSpec> tensors;
  for (const auto& [component, config] : component_configs(model))
    for (const Parameter& p : parameters_of(config)) {
      const auto source = names.ldm_name(component, p.name);
      TEMPERA_ASSERT(source.has_value());
      tensors.try_emplace(source->name,
                          spec_of(component, source->name, untransformed(source->transform, dims_of(p.shape)), types));
    }
  std::vector<GgufSpec> list;
  list.reserve(tensors.size());
  for (auto& [name, tensor] : tensors) list.push_back(std::move(tensor));
  return list;
}

void write_text(const fs::path& path, const std::string& text) {
  write_file_atomically(path, std::as_bytes(std::span(text)));
}

// A vocabulary of bytes alone in CLIP's form: 256 symbols, the same ending a word, and the special tokens at the end.
void write_tokenizer(const fs::path& folder, int vocab_size, const std::string& pad) {
  std::vector<std::string> symbols;
  // The printable character of each byte (GPT-2's bytes_to_unicode), in the order of CLIP's vocabulary.
  const auto printable = [](int b) {
    return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || (b >= 0xae && b <= 0xff);
  };
  const auto utf8 = [](int code) {
    if (code < 0x80) return std::string(1, static_cast<char>(code));
    return std::string{static_cast<char>(0xc0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3f))};
  };
  for (int b = 0; b < 256; ++b)
    if (printable(b)) symbols.push_back(utf8(b));
  for (int b = 0, next = 256; b < 256; ++b)
    if (!printable(b)) symbols.push_back(utf8(next++));
  std::vector<std::string> entries;
  const auto quoted = [](const std::string& s) { return s == "\"" || s == "\\" ? "\\" + s : s; };
  for (const char* end : {"", "</w>"})
    for (const std::string& s : symbols) entries.push_back(fmt::format("\"{}{}\": {}", quoted(s), end, entries.size()));
  entries.push_back(fmt::format("\"<|startoftext|>\": {}", vocab_size - 2));
  entries.push_back(fmt::format("\"<|endoftext|>\": {}", vocab_size - 1));
  write_text(folder / "vocab.json", fmt::format("{{{}}}\n", fmt::join(entries, ", ")));
  write_text(folder / "merges.txt", "#version: 0.2\n");
  write_text(
      folder / "tokenizer_config.json",
      fmt::format(
          "{{\"tokenizer_class\": \"CLIPTokenizer\", \"model_max_length\": 77, \"bos_token\": \"<|startoftext|>\", "
          "\"eos_token\": \"<|endoftext|>\", \"unk_token\": \"<|endoftext|>\", \"pad_token\": \"{}\"}}\n",
          pad));
}

void write_folder(const ModelConfig& model, const TinyVaeConfig& tiny, const fs::path& out, const Types& types,
                  Writer& writer) {
  NamedConfigs components = component_configs(model);
  components.emplace_back(kTinyVaeFolder, tiny);
  std::vector<std::pair<fs::path, std::vector<GgufSpec>>> files;
  for (const auto& [component, config] : components) {
    std::vector<GgufSpec> tensors;
    for (const Parameter& p : parameters_of(config))
      tensors.push_back(spec_of(component, p.name, dims_of(p.shape), types));
    const fs::path folder = out / component;
    fs::create_directories(folder);
    write_text(folder / "config.json", config_json(config));
    writer.add_total(tensors);
    files.emplace_back(folder / fmt::format("{}.safetensors", component_kind(component).weights_stem()),
                       std::move(tensors));
  }
  for (const char* folder : {"tokenizer", "tokenizer_2", "scheduler"}) fs::create_directories(out / folder);
  if (model.text_encoder) write_tokenizer(out / "tokenizer", model.text_encoder->vocab_size, "<|endoftext|>");
  write_tokenizer(out / "tokenizer_2", model.text_encoder_2.vocab_size, "!");
  write_text(out / "scheduler" / "scheduler_config.json", sdxl_scheduler_config());
  for (const auto& [path, tensors] : files) writer.write(path, tensors);
  // Last: a folder without its index is no model, so an interrupted one cannot be mistaken for a whole one.
  write_text(out / "model_index.json", model_index_json(model, "EulerDiscreteScheduler"));
}

Types types_of(const std::string& dtype, bool gguf) {
  if (dtype == "fp8") return {DType::f16, true, nullptr};
  if (dtype == "q4_k" || dtype == "Q4_K") {
    if (gguf) return {DType::f16, false, &block_type("Q4_K")};
    fail(ErrorCode::invalid_argument, "{} is '{}', which only GGUF files have: give a name that ends in .gguf",
         FieldName{"dtype"}, dtype);
  }
  const std::optional<DType> plain = parse_dtype(dtype);
  if (plain != DType::f16 && plain != DType::bf16 && plain != DType::f32) {
    fail(ErrorCode::invalid_argument, "{} is '{}': give fp16, bf16, fp32, fp8 or q4_k", FieldName{"dtype"}, dtype);
  }
  return {*plain, false, nullptr};
}

}  // namespace

void synth(const SynthOptions& options, const fs::path& out, const std::function<void(size_t, size_t)>& progress,
           const std::function<bool()>& cancelled) {
  const ModelConfig model = preset(options.preset);
  const Types types = types_of(options.dtype, Writer::is_gguf_name(out));
  if (types.fp8 && Writer::is_gguf_name(out)) {
    fail(ErrorCode::invalid_argument, "{} is '{}', which GGUF files do not have: give q4_k, or another name",
         FieldName{"dtype"}, options.dtype);
  }
  if (fs::exists(out)) fail(ErrorCode::invalid_argument, "'{}' exists: give a name that is free", out.string());
  Writer writer(options, progress, cancelled);
  if (out.extension() == ".safetensors" || Writer::is_gguf_name(out)) {
    const std::vector<GgufSpec> tensors = ldm_tensors(model, types);
    writer.add_total(tensors);
    writer.write(out, tensors);
    return;
  }
  std::error_code error;
  fs::create_directories(out, error);
  if (error) fail(ErrorCode::io, "cannot make the folder '{}': {}", out.string(), error.message());
  try {
    write_folder(model, tiny_vae_preset(options.preset), out, types, writer);
  } catch (...) {
    fs::remove_all(out, error);  // we made it, and it is not whole
    throw;
  }
}

}  // namespace tempera
