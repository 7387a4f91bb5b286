#include "adapters/adapter_file.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "adapters/adapter_parts.h"
#include "adapters/peft_config.h"
#include "base/error.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace {

constexpr std::string_view kBundle = "bundle_emb.";

// A tensor with its place in the model.
struct Found {
  std::string name;
  AdapterNames::Place place;
};

// WORD and encoder of "bundle_emb.WORD.clip_l". A word can have points.
struct BundleName {
  std::string word, encoder;
};
std::optional<BundleName> split_bundle_name(std::string_view name) {
  name.remove_prefix(kBundle.size());
  for (const std::string_view ending : {".clip_l", ".clip_g", ".string_to_param.*", ".string_to_param"}) {
    if (!name.ends_with(ending) || name.size() == ending.size()) continue;
    const std::string_view encoder = ending.substr(1, ending.find('.', 1) - 1);
    return BundleName{std::string(name.substr(0, name.size() - ending.size())), std::string(encoder)};
  }
  return std::nullopt;
}

void add_embedding(AdapterFile& out, const Checkpoint& file, const std::string& name, const BundleName& bundle) {
  CheckpointTensor tensor = file.get(name);
  const bool has_size = std::ranges::all_of(tensor.dims, [](int64_t dim) { return dim > 0; });
  if (!has_size || tensor.dims.empty() || tensor.dims.size() > 2) {
    fail(ErrorCode::bad_file, "the embedding {} has the shape {}, must be vectors of one text encoder: get it again",
         file.origin(name), dims_to_string(tensor.dims));
  }
  const auto [at, is_new] = out.embeddings[bundle.word].emplace(bundle.encoder, std::move(tensor));
  if (!is_new) {
    fail(ErrorCode::bad_file, "the embedding {} is in the file under two names: get it again", file.origin(name));
  }
  ++out.matched;
}

// diffusers decides by the names of the blocks alone.
void leave_out_other_spelling(AdapterFile& out, std::vector<Found>& found) {
  const auto is_block_in = [](AdapterNames::Spelling spelling) {
    return [spelling](const Found& tensor) { return tensor.place.in_block && tensor.place.spelling == spelling; };
  };
  if (std::ranges::none_of(found, is_block_in(AdapterNames::Spelling::canonical))) return;
  const auto is_other = is_block_in(AdapterNames::Spelling::ldm);
  for (const Found& tensor : found)
    if (is_other(tensor)) out.left_out.push_back(tensor.name);
  std::erase_if(found, is_other);
}

CheckpointTensor made_number(float value) {
  const auto number = std::make_shared<const float>(value);
  CheckpointTensor tensor;
  tensor.reader = std::make_shared<StoredElements>(DType::f32, std::as_bytes(std::span(number.get(), 1)), number);
  return tensor;
}

// Its type in files is bool, which does not convert to numbers.
CheckpointTensor flag_as_number(const CheckpointTensor& flag) {
  std::byte bytes[sizeof(int64_t)] = {};
  flag.reader->read(0, 1, flag.dtype, bytes);
  return made_number(std::ranges::any_of(bytes, [](std::byte b) { return b != std::byte{0}; }) ? 1.0f : 0.0f);
}

// The tensors of one parameter, found[first] to found[last - 1], as a layer. Tensors that change nothing are unmatched.
void add_layer(AdapterFile& out, const Checkpoint& file, const AdapterNames& names, std::span<const Found> found,
               const PeftConfig& peft) {
  const bool has_flag = std::ranges::any_of(found, [](const Found& f) { return f.place.part == "on_input"; });
  AdapterLayer layer;
  layer.parameter = names.parameters()[found[0].place.parameter];
  std::map<std::string_view, const std::string*> origins;
  for (const Found& tensor : found) {
    if (tensor.place.part == "weight" && !has_flag) {  // a whole weight, not a part of IA3
      out.unmatched.push_back(tensor.name);
      continue;
    }
    const std::string origin = file.origin(tensor.name);
    if (const auto [other, is_new] = origins.emplace(tensor.place.part, &tensor.name); !is_new) {
      fail(ErrorCode::bad_file,
           "the tensors {} and {} are the same part of one parameter: remove one of them, or get "
           "the adapter again",
           file.origin(*other->second), origin);
    }
    CheckpointTensor part = file.get(tensor.name);
    check_adapter_part(tensor.place.part, part, origin);
    if (tensor.place.part == "on_input") part = flag_as_number(part);
    layer.parts.emplace(tensor.place.part, std::move(part));
    if (layer.origin.empty()) layer.origin = origin;
  }
  if (layer.parts.empty()) return;
  const std::optional<AdapterFormula> formula = adapter_formula(layer);
  if (!formula) {
    for (const auto& [part, name] : origins) out.unmatched.push_back(*name);
    return;
  }
  out.matched += layer.parts.size();
  if (layer.parts.contains("lora_down") && !layer.parts.contains("alpha") && !layer.parts.contains("scale"))
    if (const auto scale = peft.scale(layer.parameter, formula->rank))
      layer.parts.emplace("scale", made_number(*scale));
  out.layers.push_back(std::move(layer));
}

}  // namespace

AdapterFile read_adapter(const Checkpoint& file, const AdapterNames& names, std::string_view what) {
  AdapterFile out;
  out.metadata = file.metadata();
  std::vector<Found> found;
  for (std::string& name : file.names()) {
    if (name.starts_with(kBundle)) {
      if (const auto bundle = split_bundle_name(name)) {
        add_embedding(out, file, name, *bundle);
      } else {
        out.unmatched.push_back(std::move(name));
      }
    } else if (const auto place = names.find(name)) {
      found.push_back({std::move(name), *place});
    } else {
      out.unmatched.push_back(std::move(name));
    }
  }
  leave_out_other_spelling(out, found);
  std::ranges::stable_sort(found, {}, [](const Found& tensor) { return tensor.place.parameter; });
  const PeftConfig peft(out.metadata, what);
  for (size_t first = 0, last = 0; first < found.size(); first = last) {
    while (last < found.size() && found[last].place.parameter == found[first].place.parameter) ++last;
    add_layer(out, file, names, std::span(found).subspan(first, last - first), peft);
  }
  std::ranges::sort(out.unmatched);
  return out;
}

AdapterFile open_adapter(const std::filesystem::path& path, const AdapterNames& names) {
  return read_adapter(*open_tensor_file(path), names, path.string());
}

}  // namespace tempera
