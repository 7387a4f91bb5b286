// adapter_info(): the changes of an adapter file to SDXL, from its header alone.
#include <algorithm>
#include <array>
#include <string_view>

#include "adapters/adapter_parts.h"
#include "source/catalog/contents.h"
#include "source/catalog/list.h"
#include "source/locate.h"
#include "source/model_adapter.h"
#include "tempera/models.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

constexpr std::array<std::string_view, 3> kComponents = {"unet", "text_encoder", "text_encoder_2"};

// Files of other programs name the encoder, or have one tensor whose width decides: CLIP L's 768, OpenCLIP G's 1280.
std::string encoder_of(std::string_view name, const CheckpointTensor& tensor) {
  if (name == "clip_l") return "text_encoder";
  if (name == "clip_g") return "text_encoder_2";
  const int64_t width = tensor.dims.empty() ? 0 : tensor.dims.back();
  return width == 768 ? "text_encoder" : width == 1280 ? "text_encoder_2" : std::string(name);
}

void add_vectors(EmbeddingInfo& embedding, std::string_view name, const CheckpointTensor& tensor) {
  embedding.vectors[encoder_of(name, tensor)] = tensor.dims.size() < 2 ? 1 : static_cast<size_t>(tensor.dims[0]);
}

void read_layers(AdapterInfo& info, const std::vector<AdapterLayer>& layers) {
  for (const std::string_view component : kComponents) {
    AdapterComponent row{std::string(component)};
    for (const AdapterLayer& layer : layers) {
      if (layer.parameter.component != component) continue;
      ++row.parameters;
      uint64_t elements = 1;
      for (const int64_t dim : layer.parameter.dims) elements *= static_cast<uint64_t>(dim);
      row.elements += elements;
    }
    if (row.parameters > 0) info.components.push_back(std::move(row));
  }
  for (const AdapterLayer& layer : layers) {
    const AdapterFormula formula = adapter_formula(layer).value();
    if (std::ranges::find(info.formulas, formula.kind) == info.formulas.end()) info.formulas.emplace_back(formula.kind);
    if (formula.rank == 0) continue;
    info.least_rank = info.least_rank == 0 ? formula.rank : std::min(info.least_rank, formula.rank);
    info.largest_rank = std::max(info.largest_rank, formula.rank);
  }
  std::ranges::sort(info.formulas);
}

void read_adapter_file(AdapterInfo& info, const fs::path& path) {
  AdapterFile file = open_adapter(path, AdapterNames(adapter_parameters(sdxl_base())));
  read_layers(info, file.layers);
  info.matched = file.matched;
  info.unmatched = std::move(file.unmatched);
  for (const auto& [word, tensors] : file.embeddings) {
    EmbeddingInfo embedding{word};
    for (const auto& [name, tensor] : tensors) add_vectors(embedding, name, tensor);
    info.embeddings.push_back(std::move(embedding));
  }
}

void read_embedding_file(AdapterInfo& info, const fs::path& path) {
  const std::shared_ptr<const Checkpoint> file = open_tensor_file(path);
  EmbeddingInfo embedding{path.stem().string()};
  for (const std::string& name : file->names()) add_vectors(embedding, name, file->get(name));
  info.matched = embedding.vectors.size();
  info.embeddings.push_back(std::move(embedding));
}

}  // namespace

std::optional<AdapterInfo> adapter_info(const EngineOptions& engine) {
  if (engine.model.empty()) return std::nullopt;
  const fs::path path = locate(engine, FileKind::checkpoint, engine.model);
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return std::nullopt;
  const FoundModel found = found_at(path);
  const FileKind kind = read_contents(found).type.kind;
  if (kind != FileKind::lora && kind != FileKind::embedding) return std::nullopt;
  AdapterInfo info;
  info.model = entry_of(found);
  if (kind == FileKind::lora) {
    read_adapter_file(info, path);
  } else {
    read_embedding_file(info, path);
  }
  return info;
}

}  // namespace tempera
